import { html } from "hono/html";
import { type Block, type Table, visible } from "./document.ts";

const STYLE = `
  body { font: 15px/1.45 system-ui, sans-serif; color: #111; max-width: 62rem; margin: 2rem auto;
    padding: 0 1rem; }
  h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; border-top: 1px solid #999; padding-top: 1rem; }
  h3 { font-size: 1.05rem; margin-bottom: .3rem; }
  table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
  th, td { border: 1px solid #999; padding: .25rem .5rem; text-align: left; vertical-align: top;
    overflow-wrap: anywhere; }
  th { background: #eee; } .number { text-align: right; white-space: nowrap; }
  pre { background: #f4f4f4; border: 1px solid #ccc; padding: .6rem; white-space: pre-wrap;
    overflow-wrap: anywhere; }
  .notice { border-left: .4rem solid #a00; padding: .3rem .8rem; font-weight: 600; }
  .form div { display: flex; gap: 1rem; margin: 1.4rem 0; }
  .form span { flex: 1; border-bottom: 1px solid #111; }
  @media print {
    body { font-size: 10.5pt; max-width: none; margin: 0; }
    h2, h3 { break-after: avoid; } tr, pre, .form { break-inside: avoid; }
  }
`;

/** A document as one HTML page that loads and runs nothing. */
export function toHtml(title: string, blocks: readonly Block[]): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${blocks.map(writeBlock).join("\n")}
</body>
</html>
`;
}

function writeBlock(block: Block): string {
  switch (block.kind) {
    case "heading":
      return `<h${block.level}>${escape(block.text)}</h${block.level}>`;
    case "paragraph":
      return `<p>${escape(block.text)}</p>`;
    case "notice":
      return `<p class="notice">${escape(block.text)}</p>`;
    case "list":
      return `<ul>${block.items.map((item) => `<li>${escape(item)}</li>`).join("")}</ul>`;
    case "verbatim":
      return `<pre>${escape(block.text)}</pre>`;
    case "table":
      return writeTable(block);
    case "form":
      return `<div class="form">${
        block.fields.map((field) => `<div>${escape(field)}: <span></span></div>`).join("")
      }</div>`;
  }
}

function writeTable({ head, rows, numbers = [] }: Table): string {
  const line = (tag: "th" | "td", cells: readonly string[]) =>
    `<tr>${
      cells.map((cell, at) =>
        `<${tag}${numbers.includes(at) ? ' class="number"' : ""}>${escape(cell)}</${tag}>`
      ).join("")
    }</tr>`;
  return `<table>\n<thead>${line("th", head)}</thead>\n<tbody>\n${
    rows.map((row) => line("td", row)).join("\n")
  }\n</tbody>\n</table>`;
}

const escape = (text: string) => String(html`${visible(text)}`);
