"""Makes packages/tokenizer/test/fixtures/chat-templates.json.gz: texts, ids and masks of transformers' apply_chat_template.

Run at the repository root, after hf_tokenizers.py: python tooling/oracle/chat_templates.py
"""

import gzip
import json
import os

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

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
# Templates that print, compare and filter values of Python, each with the message's content and the variable `v`.
VALUES = {
    "none": None, "flag": True, "text": "it's", "both": "'\"", "odd": "a\n\t\u00e9\u200b\u00a0\U0001f600\\", "list": [1, "two", None, False, 0.5], "empty": [],
    "dict": {"k": [True], "n": None}, "floats": [1.5e-5, 123456.75], "nested": [{"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {"b": 1}, "c": None}],
}
PYTHON = [
    "{{ v.none }}|{{ v.flag }}|{{ v.text }}|{{ v.list }}|{{ v.dict }}|{{ v.floats }}|{{ v.missing }}|{{ [v.text, v.both, v.odd] }}",
    "{{ (1, 'a') }}{{ v.flag ~ v.none ~ v.list ~ 1.0 ~ v.missing }}", "{{ 'a' + 1 }}", "{{ v.list + 'a' }}", "{{ 'ab' * 3 }}{{ 'ab' * 0 }}",
    "{{ v.dict[missing] }}|{{ v.dict[0] }}|{{ v.list[missing] }}|", "{{ missing.key }}", "{{ v.missing.key }}", "{{ missing.key is defined }}",
    "{{ v.list | string }}{{ v.dict | string }}{{ v.flag | string }}{{ v.none | string }}", "{{ v.list | trim }}{{ v.none | trim }}{{ missing | trim }}{{ ' a\x1c' | trim }}",
    "{{ v.flag | upper }}{{ v.none | lower }}{{ 'hELLO wORLD' | capitalize }}{{ 'hello-world they' | title }}", "{{ v.list | join(', ') }}|{{ 'abc' | join('-') }}|{{ v.dict | join }}",
    "{% for c in 'h\u00e9\U0001f600' %}[{{ c }}]{% endfor %}{% for k in v.dict %}{{ k }}{% endfor %}{% for x in missing %}{{ x }}{% else %}none{% endfor %}", "{% for x in v.none %}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }};{% endfor %}{% for a, b in v.dict.items() %}{{ a }}={{ b }};{% endfor %}", "{% for x in v.list if x %}{{ x }},{% endfor %}",
    "{{ 2.0 ** 60 }}{{ -0.0 }}{{ 1 / 2 }}{{ 4 / 2 }}{{ 1.5 + 1.5 }}", "{{ 1 == true }}{{ '1' == 1 }}{{ none == missing }}{{ [1] == [1] }}{{ {'a': 1} == {'a': 1.0} }}{{ (1, 2) == [1, 2] }}{{ v.none != none }}", "{{ none in [1, none] }}{{ true in [1] }}{{ [1] in [[1]] }}{{ 'k' in v.dict }}{{ 1 in v.dict }}{{ 'a' not in 'abc' }}{{ 'a' in missing }}",
    "{{ 'xxaxx'.strip('x') }}|{{ '\n a \n'.lstrip('\n') }}|{{ ' a '.rstrip() }}|{{ '  '.strip() }}", "{{ 'abc'.removeprefix('ab') }}{{ 'abc'.removesuffix('bc') }}",
    "{{ 'aB'.upper() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a b'.title() }}{{ 'aB'.capitalize() }}{{ 'ab'.startswith(('x', 'a')) }}",
    "{{ v.nested | selectattr('a.b', 'equalto', 1) | list | length }}{{ v.nested | rejectattr('c', 'defined') | list | length }}{{ v.nested | selectattr('c') | list }}{{ v.nested | selectattr('c', 'undefined') | list | length }}",
    "{{ v.none | selectattr('a') | list }}{{ 'ab' | selectattr('type', 'equalto', 'image') | list | length }}", "{{ v.list | select | list }}{{ v.list | reject('none') | list }}{{ v.list | select('string') | list }}{{ [1, 2, 3] | select('in', [1, 3]) | list }}",
    "{{ v.list | map('string') | join('+') }}{{ ['a ', ' b'] | map('trim') | list }}{{ v.nested | map(attribute='a.b') | list }}{{ [['a', 'b'], ['c']] | map('join', '-') | list }}",
    "{{ 'h\u00e9\U0001f600' | length }}{{ v.dict | length }}{{ missing | length }}{{ v.list | count }}", "{{ [] | first }}{{ 'abc' | last }}{{ v.list | first }}{{ v.dict | list }}{{ 'ab' | list }}",
    "{{ missing | items | list }}{{ v.dict | items | list | length }}", "{{ '<a href=\"x\">&\\'' | e }}{{ v.list | escape }}", "{{ v.dict is iterable }}{{ 'a' is iterable }}{{ 1 is iterable }}{{ true is number }}{{ 1.5 is not number }}{{ v.none is iterable }}",
    "{{ dict(a=1, b='x') }}{{ dict() }}{{ range(3) | list }}{{ range(1, 8, 3) | list }}{{ range(3, 0, -2) | list }}", "{{ raise_exception('no') }}",
    "{% macro call(name) %}<{{ name }}:{{ varargs | list }}{{ kwargs }}>{% endmacro %}{{ call('a', 1, none, b=true) }}", "{% set x %}{{ v.flag }}{% endset %}{{ x }}{% set a, b = 1, v.none %}{{ a }}{{ b }}{% filter upper %}{{ v.flag }}{% endfilter %}",
    "{% macro box(n) %}[{{ caller(n) }}]{% endmacro %}{% call(n) box(v.flag) %}{{ n }}{% endcall %}", "{{ v.dict | tojson }}{{ v.floats[1] | tojson }}{{ v.odd | tojson }}{{ v.list | tojson(indent=1) }}",
    "{% set ns = namespace(x=none) %}{{ ns.x }}{% for i in [1, 2] %}{% set ns.x = i %}{% endfor %}{{ ns.x }}{{ loop is defined }}", "{{ v.none or 'x' }}{{ v.list and v.none }}{{ 'a' if v.none }}{{ not v.empty }}",
    "{{ strftime_now('%%') }}{{ strftime_now('%Y-%m-%d %B %b %A %a %H %I %p %y') | length > 30 }}",
]
NAMES = {
    "addGenerationPrompt": "add_generation_prompt", "continueFinalMessage": "continue_final_message", "tools": "tools",
    "documents": "documents", "returnAssistantTokensMask": "return_assistant_tokens_mask",
}


def rendered(template):
    """The text, or None where Jinja2 refuses."""
    try:
        return render_jinja_template([CHAT], chat_template=template, v=VALUES)[0][0]
    except Exception:
        return None


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
    python = [{"template": template, "text": rendered(template)} for template in PYTHON]
    write("chat-templates", {"templates": templates, "cases": rows, "values": VALUES, "python": python})


if __name__ == "__main__":
    main()
