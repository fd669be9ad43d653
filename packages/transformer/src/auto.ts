import type {
  MaskedLmInputs,
  MaskedLmOutput,
  QuestionAnsweringInputs,
  QuestionAnsweringOutput,
  SequenceClassificationInputs,
} from './bert-heads.ts'
import type { ClassifierOutput } from './classification.ts'
import type { EncoderInputs } from './encoder-inputs.ts'
import { type CheckpointLocation, type LoadOptions, loadCheckpoint, openPretrained } from './loading/from-pretrained.ts'
import type { BaseModelOutput, CausalLm, PretrainedModel } from './model.ts'
import { findArchitecture, type Task } from './registry.ts'
import type { Seq2SeqLm } from './seq2seq.ts'

type WithForward<Inputs, Outputs> = PretrainedModel & { forward(inputs: Inputs): Outputs }

export type MaskedLm = WithForward<MaskedLmInputs, MaskedLmOutput>
export type SequenceClassifier = WithForward<SequenceClassificationInputs, ClassifierOutput>
export type TokenClassifier = WithForward<MaskedLmInputs, ClassifierOutput>
export type QuestionAnswerer = WithForward<QuestionAnsweringInputs, QuestionAnsweringOutput>
export type BareModel = WithForward<EncoderInputs, BaseModelOutput>

export interface AutoClass<M extends PretrainedModel> {
  /**
   * The model of an HF folder or hub id, or of a file in a registered format such as GGUF, in evaluation mode; of a PEFT
   * adapter (LoRA), the base that it names with the adapter on top: in its weights where they are float32, beside them where
   * they are in few bits. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_CONFIG_INVALID, HEED_STATE_DICT_MISMATCH, HEED_IO.
   */
  fromPretrained(location: CheckpointLocation, options?: LoadOptions): Promise<M>
}

function autoClass<M extends PretrainedModel>(task: Task): AutoClass<M> {
  return {
    async fromPretrained(location, options = {}) {
      const checkpoint = await openPretrained(location, options)
      const { load } = findArchitecture(checkpoint.config, task, checkpoint.source)
      return (await loadCheckpoint(checkpoint, load, options)) as M
    },
  }
}

/** The bare model of a folder, without a head. */
export const AutoModel: AutoClass<BareModel> = autoClass('base')
/** A model that writes on: LLaMA, GPT-2 and the like. */
export const AutoModelForCausalLM: AutoClass<CausalLm> = autoClass('causal-lm')
/** A model that reads one text and writes another: BART, Marian, T5, the Transformer of 2017. */
export const AutoModelForSeq2SeqLM: AutoClass<Seq2SeqLm> = autoClass('seq2seq-lm')
/** A model that fills masked places: BERT and its relatives. */
export const AutoModelForMaskedLM: AutoClass<MaskedLm> = autoClass('masked-lm')
export const AutoModelForSequenceClassification: AutoClass<SequenceClassifier> = autoClass('sequence-classification')
export const AutoModelForTokenClassification: AutoClass<TokenClassifier> = autoClass('token-classification')
export const AutoModelForQuestionAnswering: AutoClass<QuestionAnswerer> = autoClass('question-answering')
