"""A resolved page as plain Markdown: blocks of text, and between them nodes of code cells."""

import itertools
import re

from docutils import nodes

MATH = re.compile(r"(?<!\\)\$\$.*?\$\$|(?<![\\$])\$[^$]+\$", re.S)


def is_code_cell(node):
    return isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code"


def plain(node):
    """A node's words and formulas, without links and emphasis."""
    if isinstance(node, nodes.math):
        return f"${node.astext()}$"
    return "".join(map(plain, node.children)) if node.children else node.astext()


def escaped(text):
    """Text in which Markdown sees no markup."""
    return re.sub(r"[\\`*$<]|(?<!\w)_|_(?!\w)", r"\\\g<0>", text)


def quoted(text):
    """A block quote; its display formulas on one line each, or the marks would stand in them."""
    text = MATH.sub(lambda found: " ".join(found[0].split()), text)
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def folded(summary):
    """What folds a text under a line that opens it."""
    return lambda text: f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def indented(text, width):
    return re.sub(r"\n(?=[^\n])", "\n" + " " * width, text)


class Prose:
    """Renders the page `name` of a Sphinx environment.

    `link` gives the address of a reference, or None, where its words shall stand alone; `image`
    the address of a picture; with `anchors`, what references lead to carries its name.
    """

    def __init__(self, env, name, link, image, *, anchors):
        self.numbers = env.toc_fignumbers.get(name, {})
        self.sections = env.toc_secnumbers.get(name, {})  # a page around the book has none
        self.link, self.image, self.anchors, self.level = link, image, anchors, 0

    def number(self, kind, node):
        found = (self.numbers.get(kind, {}).get(name) for name in node["ids"])
        return ".".join(map(str, next(filter(None, found), ())))

    def anchor(self, node):
        return "".join(f'<a id="{name}"></a>' for name in node["ids"] if self.anchors)

    # text within a line

    def words(self, node):
        """The children of a node as one line."""
        return re.sub(r"\s*\n\s*", " ", "".join(map(self.inline, node.children))).strip()

    def inline(self, node):
        if isinstance(node, nodes.Text):
            return escaped(node.astext())
        method = getattr(self, f"inline_{type(node).__name__}", None)
        return method(node) if method else "".join(map(self.inline, node.children))

    def inline_math(self, node):
        return f"${' '.join(node.astext().split())}$"

    def inline_literal(self, node):
        text = node.astext()
        return f"`` {text} ``" if "`" in text else f"`{text}`"

    def inline_emphasis(self, node):
        return f"*{self.words(node)}*"

    def inline_strong(self, node):
        return f"**{self.words(node)}**"

    def inline_reference(self, node):
        words, address = self.words(node), self.link(node)
        return f"[{words}]({address})" if address else words

    inline_number_reference = inline_reference

    def inline_inline(self, node):
        if "bibtex-citation" not in node["classes"]:
            return "".join(map(self.inline, node.children))
        parts = [
            self.inline_reference(part)
            if isinstance(part, nodes.reference)
            else part.astext().replace("[", "(").replace("]", ")")
            for part in node.children
        ]
        return "".join(parts).replace(" and ", " & ")

    def inline_image(self, node):
        return f"![{escaped(node.get('alt', ''))}]({self.image(node['uri'])})"

    def inline_raw(self, node):
        return node.astext() if "html" in node["format"].split() else ""

    # blocks: each gives texts, and nodes of code cells

    def blocks(self, node):
        anchor = self.anchor(node) if isinstance(node, nodes.Element) else ""
        for part in self.unmarked(node):
            if isinstance(part, str):  # the first text takes the names; a heading has them inside
                part, anchor = part if anchor in part else anchor + part, ""
            yield part

    def unmarked(self, node):
        method = getattr(self, f"block_{type(node).__name__}", None)
        if is_code_cell(node):
            yield node
        elif method:
            yield from method(node)
        elif "realtype" in node:
            yield from self.enumerable(node, node["realtype"].title(), node["countertype"])
        elif isinstance(node, nodes.Admonition):
            yield from self.block_admonition(node)
        elif isinstance(node, nodes.TextElement):
            yield self.words(node)
        else:
            yield from self.children(node)

    def children(self, node):
        for child in node.children:
            yield from self.blocks(child)

    def wrapped(self, parts, wrap):
        """Texts wrapped together, as far as no code cell stands between them."""
        for is_text, group in itertools.groupby(parts, lambda part: isinstance(part, str)):
            if is_text:
                yield wrap("\n\n".join(filter(None, group)))
            else:
                yield from group

    def body(self, node):
        return (part for child in node.children[1:] for part in self.blocks(child))

    def block_section(self, node):
        if not isinstance(node[0], nodes.title):  # the body of a theorem or of an exercise
            yield from self.children(node)
            return
        self.level += 1
        key = "" if self.level == 1 else f"#{node['ids'][0]}"
        number = ".".join(map(str, self.sections.get(key, ())))
        title = f"{number}. {self.words(node[0])}" if number else self.words(node[0])
        yield f"{'#' * self.level} {self.anchor(node)}{title}"
        yield from self.body(node)
        self.level -= 1

    def block_paragraph(self, node):
        yield re.sub(r"^([-+#>]|\d+[.)])(?=\s)", r"\\\1", self.words(node))

    def block_math_block(self, node):
        text = node.astext().strip()
        if node["nowrap"]:
            yield text
            return
        if r"\\" in re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", text, flags=re.S):
            text = f"\\begin{{split}}\n{text}\n\\end{{split}}"
        number = self.number("displaymath", node)
        tag = f" \\tag{{{number}}}" if number else ""
        yield f"$$\n{text}{tag}\n$$"

    def block_bullet_list(self, node, marks=itertools.repeat("-")):  # noqa: B008 - never changes
        items = []
        for mark, item in zip(marks, node.children):  # noqa: B905 - marks have no end
            text = "\n\n".join(self.children(item))
            items.append(f"{mark} {indented(text, len(mark) + 1)}")
        yield "\n".join(items)

    def block_enumerated_list(self, node):
        first = node.get("start", 1)
        yield from self.block_bullet_list(node, (f"{n}." for n in itertools.count(first)))

    def block_definition_list(self, node):
        for item in node.children:
            yield f"**{self.words(item[0])}**"
            yield from self.body(item)

    def block_literal_block(self, node):
        yield f"```{node.get('language', '')}\n{node.astext()}\n```"

    def block_block_quote(self, node):
        yield from self.wrapped(self.children(node), quoted)

    def block_transition(self, node):
        yield "---"

    def block_admonition(self, node):
        titled = isinstance(node[0], nodes.title)
        title = self.words(node[0]) if titled else node.tagname.title()
        parts = self.body(node) if titled else self.children(node)
        yield from self.wrapped(itertools.chain([f"**{title}**" if title else ""], parts), quoted)

    block_sidebar = block_admonition

    def enumerable(self, node, kind, counter):
        """A theorem or an exercise, with its number and its title."""
        title = f"{kind} {self.number(counter, node)}".strip()
        head = f"**{title}** {self.words(node[0])}".strip()
        yield from self.wrapped(itertools.chain([head], self.body(node)), quoted)

    def block_exercise_enumerable_node(self, node):
        yield from self.enumerable(node, "Exercise", "exercise")

    def block_proof_node(self, node):
        *before, last = self.children(node[0])
        first, *others = [*before, last if last.endswith("$$") else f"{last} ∎"]
        yield re.sub(r"^Proof\.", "*Proof.*", first)
        yield from [*others, "∎"] if last.endswith("$$") else others

    def block_solution_node(self, node):
        yield from self.wrapped(self.body(node), folded(plain(node[0])))

    def block_dropdown_main(self, node):
        yield from self.wrapped(self.body(node), folded(plain(node[0][0])))

    def block_figure(self, node):
        for child in node.children:
            if isinstance(child, nodes.caption):
                yield self.caption(node)
            else:
                yield from self.blocks(child)

    def caption(self, figure):
        """The caption of a figure, with its number."""
        words = next(self.words(part) for part in figure if isinstance(part, nodes.caption))
        return f"{self.anchor(figure)}**Figure {self.number('figure', figure)}.** {words}"

    def block_image(self, node):
        yield self.inline_image(node)

    def block_table(self, node):
        rows = [[self.cell(entry) for entry in row.children] for row in node.findall(nodes.row)]
        rows.insert(1, ["---"] * len(rows[0]))
        yield "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def cell(self, entry):
        """A table's cell in one line, in which no bar ends it."""
        text = " ".join("\n".join(self.children(entry)).split())
        text = MATH.sub(lambda found: re.sub(r"\\?\|", _bar, found[0]), text)
        return text.replace("|", r"\|")

    def block_raw(self, node):
        text = self.inline_raw(node)
        yield from [] if "<script" in text else [text]

    def block_comment(self, node):
        yield from ()

    block_target = block_toctree = block_index = block_comment


def _bar(found):
    return r"\Vert " if found[0] == r"\|" else r"\vert "
