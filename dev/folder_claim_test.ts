import { rejects } from "node:assert/strict";
import { claimFolder, FolderTakenError } from "./folder_claim.ts";

// Enough that some of the claims end in the moment between a fork and its exec.
const CLAIMS = 10_000;

// Starts processes until it is stopped, as another test on its own thread does.
const SPAWN_FOREVER = `for (;;) await new Deno.Command("true").output();`;

Deno.test("a folder belongs to its claim until that is disposed of", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  {
    using _claim = await claimFolder(folder);
    await rejects(claimFolder(folder), FolderTakenError);
  }
  (await claimFolder(folder))[Symbol.dispose]();
  await removeFolder(folder);
});

Deno.test("a folder can be claimed again immediately, while other threads start processes", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const url = URL.createObjectURL(new Blob([SPAWN_FOREVER], { type: "text/javascript" }));
  const threads = Array.from({ length: 3 }, () => new Worker(url, { type: "module" }));
  try {
    for (let n = 0; n < CLAIMS; n++) {
      using _claim = await claimFolder(folder);
    }
  } finally {
    for (const thread of threads) thread.terminate();
    URL.revokeObjectURL(url);
    await removeFolder(folder);
  }
});

async function removeFolder(folder: string): Promise<void> {
  await Deno.remove(folder);
  await Deno.remove(`${folder}.lock`);
}
