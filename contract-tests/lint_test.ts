import { match, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { toOpenapi30 } from "../contract/openapi_30.ts";
import { set, unset } from "./document_edits.ts";
import { readContract } from "./documents.ts";

/*
 * Spectral judges the published documents as it does for a client's author. It runs in a process of
 * its own with a lock file of its own: its packages are no part of Lotline, and Deno runs none of
 * their install scripts. redocly's rules are in contract_test.ts and openapi_30_test.ts.
 */
const SPECTRAL = "npm:@stoplight/spectral-cli@6.16.3";
const FOLDER = fileURLToPath(new URL("./lint/", import.meta.url));

/** What Spectral finds, one problem a line; empty when there is nothing. */
async function lint(document: unknown, ruleset: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-lint-" });
  try {
    const file = `${folder}/openapi.json`;
    await Deno.writeTextFile(file, JSON.stringify(document));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-config", "--frozen", `--lock=${FOLDER}deno.lock`],
        SPECTRAL,
        ...["lint", "--ruleset", FOLDER + ruleset, "--format", "text", "--quiet"],
        ...["--fail-severity", "hint", file],
      ],
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    const found = text.decode(stdout).replaceAll(file, "").trim();
    // Without a finding, another code than 0 is a failure of Spectral itself.
    if (code !== 0 && found === "") throw new Error(text.decode(stderr));
    return found;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Spectral has no warning about openapi.yaml", async () => {
  strictEqual(await lint(readContract(), "spectral.yaml"), "");
});

Deno.test("Spectral has no warning about /openapi-3.0.json", async () => {
  strictEqual(await lint(toOpenapi30(readContract()), "spectral-3.0.yaml"), "");
});

Deno.test("Spectral finds a missing contact, an unknown tag and an example that doesn't fit", async () => {
  const wrong = readContract();
  unset(wrong, "info|contact");
  set(wrong, "paths|/api/lots|post|tags", ["Unknown"]);
  set(wrong, "paths|/api/health|get|responses|200|content|application/json|example", {});
  const found = await lint(wrong, "spectral.yaml");
  for (const rule of ["info-contact", "operation-tag-defined", "oas3-valid-media-example"]) {
    match(found, RegExp(`\\b${rule}\\b`));
  }
});
