import type { GenerationSettings, PretrainedModel } from 'heed'

/** The most tokens of a translation where neither the model nor the user says: HF's 20 would cut sentences off. */
const DEFAULT_MAX_NEW_TOKENS = 256

/** The settings given, with room for a sentence where the model's own have none. */
export function translationSettings(
  { generationConfig: own }: Pick<PretrainedModel, 'generationConfig'>,
  given: GenerationSettings,
): GenerationSettings {
  const isLimited = own.maxNewTokens !== undefined || own.maxLength !== undefined
  return isLimited ? given : { maxNewTokens: DEFAULT_MAX_NEW_TOKENS, ...given }
}
