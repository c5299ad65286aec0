import { html } from "hono/html";
import { type Block, type Table, visible } from "./document.ts";

const STYLE = `
  :root { --text: #111; --page: #fff; --line: #999; --head: #eee; --box: #f4f4f4; --warning: #a00;
    --good: #070; }
  @media screen and (prefers-color-scheme: dark) {
    :root { color-scheme: dark; --text: #e6e6e6; --page: #161616; --line: #666; --head: #2a2a2a;
      --box: #222; --warning: #ff6b6b; --good: #6c6; }
  }
  body { font: 15px/1.45 system-ui, sans-serif; color: var(--text); background: var(--page);
    max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.7rem; }
  h2 { font-size: 1.3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
  h3 { font-size: 1.05rem; margin-bottom: .3rem; }
  p, li { overflow-wrap: anywhere; }
  table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; font-size: .9em; }
  th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: left;
    vertical-align: top; overflow-wrap: break-word; }
  th { background: var(--head); } .number { text-align: right; white-space: nowrap; }
  pre { background: var(--box); border: 1px solid var(--line); padding: .6rem; white-space: pre-wrap;
    overflow-wrap: anywhere; }
  .notice { border-left: .4rem solid var(--warning); padding: .3rem .8rem; font-weight: 600; }
  h1 + .notice { font-size: 1.25rem; }
  .good { border-color: var(--good); }
  .form div { display: flex; gap: 1rem; margin: 1.4rem 0; }
  .form span { flex: 1; border-bottom: 1px solid var(--text); }
  @page { margin: 12mm; }
  @media print {
    body { font-size: 9.5pt; max-width: none; margin: 0; padding: 0; }
    table { font-size: 8pt; } th, td { padding: .15rem .25rem; }
    .number { white-space: normal; }
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
      return `<p class="notice ${block.tone}">${escape(block.text)}</p>`;
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
