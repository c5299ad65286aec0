import { type Block, type Table, visible } from "./document.ts";

/** A document as Markdown; no text in it becomes markup. */
export function toMarkdown(blocks: readonly Block[]): string {
  return blocks.map(writeBlock).join("\n\n") + "\n";
}

function writeBlock(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `${"#".repeat(block.level)} ${inline(block.text)}`;
    case "paragraph":
      return inline(block.text);
    case "notice":
      return `> **${inline(block.text)}**`;
    case "list":
      return block.items.map((item) => `- ${inline(item)}`).join("\n");
    case "verbatim":
      return writeVerbatim(visible(block.text));
    case "table":
      return writeTable(block);
    case "form":
      return block.fields.map((field) => `${inline(field)}: ${"\\_".repeat(40)}`).join("\n\n");
  }
}

function writeTable({ head, rows, numbers = [] }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(inline).join(" | ")} |`;
  const rule = head.map((_, at) => numbers.includes(at) ? "---:" : "---");
  return [line(head), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}

// A fence ends with the first line that has as many backticks.
function writeVerbatim(text: string): string {
  const max = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(max + 1);
  return `${fence}\n${text}\n${fence}`;
}

/** One line, with the markup of Markdown and HTML escaped. */
function inline(text: string): string {
  return visible(text).replaceAll("\n", " ")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(/[\\`*_[\]|~>#]/g, "\\$&")
    // Not "1.", "-" or "+" that begin a list, nor an address that becomes a link.
    .replaceAll(/^(\s*)(\d+)([.)])(?=\s|$)/g, "$1$2\\$3").replaceAll(/^(\s*)([-+=])/g, "$1\\$2")
    .replaceAll(/(https?|ftp)(?=:)|www(?=\.)/gi, "$&&#8203;").trim();
}
