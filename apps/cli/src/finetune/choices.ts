/**
 * What a model is taught: to go on with texts, to answer as the assistant of chats does, to tell which label a text has, or
 * which of two answers people prefer (DPO).
 */
export const finetuneTasks = ['text', 'chat', 'classification', 'preference'] as const
export type FinetuneTask = (typeof finetuneTasks)[number]

export const quantizedTypes = ['q8_0', 'q4_0'] as const
export type QuantizedType = (typeof quantizedTypes)[number]
