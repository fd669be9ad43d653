export { HeedError, type HeedErrorCode, heedErrorCodes, isHeedError } from './errors.ts'
