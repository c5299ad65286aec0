import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { DRY_RUN_DONE, DRY_RUN_HEADER, isDryRunProof } from "../contract/dry_run.ts";
import { createAsker } from "../gateway/ask.ts";
import { startTestServer, type TestServer } from "./test_server.ts";

/**
 * Lotline for a test of the gateway: a dry run with a good proof goes to a twin, which executes it on a
 * database of its own, and is marked as done; all else goes to Lotline itself.
 */
export async function startDryRunTwin(
  { url, twinUrl, secret }: { url: string; twinUrl: string; secret: string },
): Promise<TestServer> {
  const [lotline, twin] = [createAsker(url, 16), createAsker(twinUrl, 16)];
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = new Uint8Array(Buffer.concat(chunks));
    const { method = "", url: target = "" } = incoming;
    const isDryRun = DRY_RUN_HEADER in incoming.headers;
    const proof = String(incoming.headers[DRY_RUN_HEADER]);
    const bodyHash = createHash("sha256").update(body).digest("hex");
    if (isDryRun && !isDryRunProof(secret, { method, target, bodyHash, proof }, Date.now())) {
      outgoing.writeHead(403).end();
      return;
    }
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [
      name,
      String(value),
    ]);
    const asked = await (isDryRun ? twin : lotline).ask({ method, target, headers, body }, 10_000);
    if ("silence" in asked) {
      incoming.destroy();
      return;
    }
    for (const [name, value] of asked.headers) {
      if (!/^(?:transfer-encoding|connection|keep-alive)$/i.test(name)) {
        outgoing.appendHeader(name, value);
      }
    }
    if (isDryRun) outgoing.setHeader(DRY_RUN_HEADER, DRY_RUN_DONE);
    outgoing.writeHead(asked.status);
    outgoing.end(asked.body);
  });
  return await startTestServer(server, () => {
    lotline[Symbol.dispose]();
    twin[Symbol.dispose]();
  });
}
