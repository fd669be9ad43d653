import { defaultClientConditions, defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'
import { moduleSources } from './module-sources.ts'

// Pages with these headers may share memory between threads; the service worker adds them where a host cannot.
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

export default defineConfig({
  base: './', // any folder of any host
  resolve: { conditions: ['@heed/source', ...defaultClientConditions] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  // parts of models are shown by the names of their classes
  worker: { format: 'es', rolldownOptions: { output: { keepNames: true } } },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 2500 },
  server: { headers: isolation },
  preview: { headers: isolation },
  plugins: [
    moduleSources(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src',
      filename: 'service-worker.ts',
      injectRegister: false,
      injectManifest: {
        globPatterns: ['**/*.{html,js,css,wasm,svg,json,txt,safetensors}'],
        maximumFileSizeToCacheInBytes: 8 * 2 ** 20,
      },
      manifest: {
        name: 'Heed',
        short_name: 'Heed',
        description: 'Look inside transformers, train them and run them in a page.',
        theme_color: '#1b6e5a',
        background_color: '#ffffff',
        display: 'standalone',
        start_url: './',
        icons: [{ src: 'icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' }],
      },
    }),
  ],
})
