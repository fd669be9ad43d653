/// <reference lib="webworker" />
/**
 * Keeps the site for use without a network, and adds the two headers by which a page may share memory between threads,
 * since most file hosts cannot be told to send them.
 */
import { addPlugins, cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching'

declare const self: ServiceWorkerGlobalScope & {
  __WB_MANIFEST: Array<string | { url: string; revision: string | null }>
}

function isolated(response: Response): Response {
  if (response.status === 0) return response // opaque: from elsewhere, not ours to change
  const headers = new Headers(response.headers)
  headers.set('Cross-Origin-Opener-Policy', 'same-origin')
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp')
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}

addPlugins([{ handlerWillRespond: async ({ response }) => isolated(response) }])
precacheAndRoute(self.__WB_MANIFEST, { ignoreURLParametersMatching: [/./] }) // no file depends on ?backend=
cleanupOutdatedCaches()

self.addEventListener('install', () => void self.skipWaiting())
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()))
