// Puts the corpus that `heed quickstart` trains on beside the built command.
import { copyFileSync } from 'node:fs'

copyFileSync(
  new URL('../../data/tiny-shakespeare.txt', import.meta.url),
  new URL('dist/tiny-shakespeare.txt', import.meta.url),
)
