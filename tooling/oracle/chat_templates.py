"""Makes packages/tokenizer/test/fixtures/chat-templates.json.gz: texts, ids and masks of transformers' apply_chat_template.

Run at the repository root, after hf_tokenizers.py: python tooling/oracle/chat_templates.py
"""

import gzip
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from hf_tokenizers import OUT, write

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GENERATION = """{{- bos_token -}}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        {{- '[A] ' -}}{% generation %}{{ message.content | trim }}{{ eos_token }}{% endgeneration %}
    {%- else -%}
        {{- '[' + message.role | upper + '] ' + message.content -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '[A] ' }}{% endif -%}
"""
LINES = """{% for message in messages %}
    {% if message.role == "assistant" %}
A:
        {%- generation -%}
{{ message.content | trim }}
        {%- endgeneration %}

    {% else %}
{{ message.role }}: {{ message.content }}
    {% endif %}
{% endfor %}
"""
TOOLS = """{% if tools %}TOOLS {{ tools | tojson }}
{% endif %}{% if documents %}{% for d in documents %}DOC {{ d.title }}: {{ d.text }}
{% endfor %}{% endif %}{% for m in messages %}{{ m.role }}|{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson(indent=2) }}{% endif %};{% endfor %}{{ 'thinks' if enable_thinking is defined and enable_thinking else 'talks' }}"""

CHAT = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Speak, caf\u00e9 \U0001f600!"},
    {"role": "assistant", "content": " I am resolved.\nWe are. "},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "All \u4f60\u597d."},
]
TOOL = {"type": "function", "function": {"name": "find", "description": "Finds \u00e9 <b>", "parameters": {"type": "object", "properties": {"n": {"type": "number"}}}}}
CALLS = [
    {"role": "user", "content": "Find it"},
    {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "find", "arguments": {"n": 1.5}}}]},
]
# template, messages, options by our names
CASES = [
    ("chatml", CHAT, {}),
    ("chatml", CHAT, {"addGenerationPrompt": True}),
    ("chatml", CHAT, {"continueFinalMessage": True}),
    ("generation", CHAT, {"returnAssistantTokensMask": True}),
    ("generation", CHAT[:2], {"returnAssistantTokensMask": True, "addGenerationPrompt": True}),
    ("generation", CHAT[:3], {"continueFinalMessage": True}),
    ("lines", CHAT, {"returnAssistantTokensMask": True}),
    ("lines", CHAT, {}),
    ("tools", CALLS, {"tools": [TOOL]}),
    ("tools", CALLS, {"documents": [{"title": "T", "text": "x & y"}], "variables": {"enable_thinking": True}}),
    ("tools", CALLS, {}),
]
NAMES = {
    "addGenerationPrompt": "add_generation_prompt", "continueFinalMessage": "continue_final_message", "tools": "tools",
    "documents": "documents", "returnAssistantTokensMask": "return_assistant_tokens_mask",
}


def main():
    with gzip.open(f"{OUT}/byte-level-bpe.json.gz", "rt", encoding="utf-8") as f:
        backend = Tokenizer.from_str(json.dumps(json.load(f)["tokenizer"]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    templates = {"chatml": CHATML, "generation": GENERATION, "lines": LINES, "tools": TOOLS}
    rows = []
    for name, messages, options in CASES:
        given = {NAMES[key]: value for key, value in options.items() if key in NAMES}
        given.update(options.get("variables", {}))
        encoding = tokenizer.apply_chat_template(messages, chat_template=templates[name], return_dict=True, **given)
        given.pop("return_assistant_tokens_mask", None)
        rows.append({
            "template": name, "messages": messages, "options": options,
            "text": tokenizer.apply_chat_template(messages, chat_template=templates[name], tokenize=False, **given),
            "ids": encoding["input_ids"], "mask": encoding.get("assistant_masks"),
        })
    write("chat-templates", {"templates": templates, "cases": rows})


if __name__ == "__main__":
    main()
