import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { examineBackends } from '@heed/tensor-backend'

// Where there is no driver of a GPU, SwiftShader does: a Vulkan driver that runs on the processor and comes with Chromium.
const chromium = ['/usr/lib/chromium', '/opt/google/chrome', '/usr/lib/chromium-browser'].find(folder =>
  existsSync(join(folder, 'vk_swiftshader_icd.json')),
)

/** Loads the Vulkan loader of Chromium where the system has none; that it is no addon is said too late to matter. */
function loadVulkan(folder: string): void {
  const noDelete = 0x1000 // RTLD_NODELETE: it stays loaded
  try {
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | noDelete)
  } catch {}
}

if (chromium && !process.env.VK_ICD_FILENAMES) {
  process.env.VK_ICD_FILENAMES = join(chromium, 'vk_swiftshader_icd.json')
  loadVulkan(chromium)
}

const finding = (await examineBackends()).find(({ backend }) => backend === 'webgpu')!

/** The reason why tests on the webgpu backend are skipped, if they are. */
export const whyNoWebgpu: string | undefined = finding.isAvailable ? undefined : finding.reason
