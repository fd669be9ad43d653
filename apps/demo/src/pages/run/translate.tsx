import { useText } from '../../language/language.ts'
import { runningWorker } from '../../worker/start.ts'
import { AskPanel } from './ask.tsx'

/** The text that an encoder-decoder model writes for another. */
export function TranslatePanel() {
  const text = useText().run
  return (
    <AskPanel
      label={text.toTranslate}
      action={text.translate}
      example=""
      ask={source => runningWorker().translate(source)}
      show={target => <p class="sample">{target}</p>}
    />
  )
}
