import { defineConfig } from 'vite'

/** The model is served as it lies: what `publicDir` holds is at the root of the site. */
export default defineConfig({
  root: import.meta.dirname,
  appType: 'mpa', // a file that is not there is an error, not this page
  base: './',
  publicDir: '../models',
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
  resolve: { conditions: ['@heed/source', 'browser', 'module', 'import', 'default'] },
})
