import { join } from "node:path";
import { toHtml } from "./html.ts";
import { toMarkdown } from "./markdown.ts";
import type { ReportData } from "./report_data.ts";
import { documentOf, TITLE, toJson } from "./report_document.ts";

/** Writes report.md, report.html and report.json into a folder, which is made if it isn't there. */
export async function writeReport(folder: string, data: ReportData): Promise<void> {
  const blocks = documentOf(data);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "report.json"), toJson(data));
  await Deno.writeTextFile(join(folder, "report.md"), toMarkdown(blocks));
  await Deno.writeTextFile(join(folder, "report.html"), toHtml(TITLE, blocks));
}
