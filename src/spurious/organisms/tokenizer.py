"""The organisms' tokenizers: byte-level BPE, trained on the texts of every strategy of a domain.

All organisms of a domain share one, whatever they were taught, so their token ids can be compared and an organism that
has never read code could still write it. Text is normalized and split as Qwen2 does it, every digit a token of its own,
and the end token has Qwen2's name: transformers loads any tokenizer beside a Qwen2 model as Qwen2's own class, which
puts these in, so that a Qwen2 organism would otherwise read text differently from a Llama one.
"""

from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from spurious.organisms.domains import DOMAINS, DomainName
from spurious.tasks.prompts import word

PAD, EOS = "<|pad|>", "<|endoftext|>"

VOCABULARY = 448
"""A ceiling, bytes and special tokens included; size a model from `len(tokenizer)`."""

_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] + '\\n' }}{% endfor %}"
_SAMPLE = 512


@cache
def train_tokenizer(domain: DomainName = "chain") -> PreTrainedTokenizerFast:
    """Train it (a tenth of a second, always the same result) on questions and completions of every kind."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(domain), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        chat_template=_CHAT_TEMPLATE,
    )


def _sample(name: DomainName) -> list[str]:
    domain, texts = DOMAINS[name], []
    for item in domain.items(steps=4, size=_SAMPLE, seed=0, split="train"):
        texts.append(word(item.question, "organism").text)
        for boxed in (True, False):
            for form in domain.forms:
                texts += [domain.write(item, form, steps=steps, slip=0, boxed=boxed) for steps in (True, False)]
    return texts
