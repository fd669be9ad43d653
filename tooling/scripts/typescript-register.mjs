/** Lets node run TypeScript in this thread and in its workers: `node --conditions=@heed/source --import <this file> script.ts`. */
import { register } from 'node:module'

register('./typescript-hooks.mjs', import.meta.url)
