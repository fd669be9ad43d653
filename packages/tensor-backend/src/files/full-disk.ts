/** What a system means when no more can be written, with what mends it. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (ENOSPC). Free some space',
  EDQUOT: 'the quota of this user is used up (EDQUOT). Free some space, or have it raised',
  EFBIG:
    'the file is larger than is allowed (EFBIG). Raise the limit (ulimit -f), or take a disk that holds large files',
}

/** Why no more can be written, and how to mend it, when an error of the system says so; undefined for other errors. */
export function fullDiskReason(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? reasons[String(error.code)] : undefined
}
