import { existsSync } from 'node:fs'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/opt/google/chrome/chrome']

/** The Chromium that the tests of pages use: the one `CHROMIUM` names, else one in a usual place; undefined without any. */
export const chromiumPath: string | undefined = [process.env.CHROMIUM, ...places].find(path => path && existsSync(path))

/** Without what a browser does in the background. */
export const chromiumArguments: string[] = [
  '--no-sandbox',
  '--no-first-run',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
