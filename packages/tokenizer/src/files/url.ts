import { HeedError } from '../errors.ts'

export function isUrl(address: string): boolean {
  return /^(https?|data|blob):/.test(address)
}

export function joinUrl(folder: string, name: string): string {
  return `${folder.replace(/\/+$/, '')}/${name}`
}

/** Whether it is a page: what single-page servers, Vite's too, send with status 200 for a file that is not there. */
const isPage = ({ headers }: Response): boolean => /^text\/html\b/.test(headers.get('content-type') ?? '')

/** The bytes at a URL, the first `limit` where there are more and the server gives parts, or undefined if the server has none there. Throws HEED_IO. */
export async function fetchBytes(url: string, limit?: number): Promise<Uint8Array | undefined> {
  let response: Response
  try {
    response = await fetch(url, limit === undefined ? {} : { headers: { Range: `bytes=0-${limit - 1}` } })
  } catch (cause) {
    throw new HeedError('HEED_IO', `${url}: fetching failed. Check the address and the network.`, { cause })
  }
  if (response.status === 404 || isPage(response)) return undefined
  if (!response.ok) {
    throw new HeedError('HEED_IO', `${url}: the server answered ${response.status}, expected 200. Check the address.`)
  }
  return new Uint8Array(await response.arrayBuffer())
}
