"""The texts of the demo model's answers."""

from __future__ import annotations

PARAGRAPH = (
    "Everything else is real: this text came through the gateway as a stream, you can stop it, and the numbers under it were"
    " measured. Ask me for markdown, reasoning, a long answer or an error to see how they look."
)

THOUGHTS = (
    "The question came in and I have no weights to think with. A demo should still show how thinking looks: it comes first,"
    " it is kept apart from the answer, and it takes a moment. Now I can answer."
)

MARKDOWN = """\
## What an answer may contain

Text with **bold**, *italics*, `code` and a [link](https://example.com/docs).

1. A numbered step
2. Another one
   - with a point of its own

| unit | symbol | value |
|---|:-:|--:|
| second | s | 1 |
| minute | min | 60 |
| hour | h | 3 600 |

```python
def fibonacci(count: int) -> list[int]:
    \"\"\"The first numbers of the series.\"\"\"
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]
```

> Energy and mass are related by $E = mc^2$.

$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$

That was everything. This came from the demo model; no provider was asked.
"""

_PARAGRAPHS = (
    "Water finds its way down without being told. It fills what is low, waits there, and goes on when there is more of it.",
    "A gateway does the same with questions: it takes what comes, finds a way that is open, and passes on what is said.",
    "When a way is closed it tries the next one. When nobody listens any more, it stops, and so does whoever was speaking.",
    "What was said is not changed on the way. What was cut off is called cut off. What was not counted is not invented.",
)

LONG = "This is a long answer of the demo model; no provider was asked.\n\n" + "\n\n".join(
    f"**{number + 1}.** {_PARAGRAPHS[number % len(_PARAGRAPHS)]}" for number in range(60)
)
