import { render } from 'preact'
import { App } from './app.tsx'
import './style.css'

render(<App />, document.getElementById('app')!)

// A file that is dropped beside its place would take the page away, and what runs in it.
const keepPage = (event: DragEvent): void => {
  if (event.dataTransfer?.types.includes('Files')) event.preventDefault()
}
addEventListener('dragover', keepPage)
addEventListener('drop', keepPage)

// Without a network the site comes from what the service worker kept; a page that it isolates may use threads.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  void navigator.serviceWorker.register(new URL('./service-worker.js', document.baseURI))
}
