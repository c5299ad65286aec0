import type { Page } from "playwright-core";
import { buildClient, BUNDLE } from "./client_package.ts";

/* A site whose pages import the bundle of `@lotline/client` as a script of type `module`. */

type Lotline = typeof import("../client/client.ts");

export interface ClientSite {
  readonly origin: string;
  /** Another origin with the same pages. */
  readonly otherOrigin: string;
}

const PAGE = `<!doctype html><title>Plant</title>
<script type="module">
  import * as lotline from "/client.min.js";
  globalThis.lotline = lotline;
</script>`;

/** Starts the site for all tests of the calling file. */
export async function clientSite(): Promise<ClientSite> {
  await buildClient();
  const bundle = await Deno.readTextFile(BUNDLE);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    const [type, body] = pathname === "/client.min.js"
      ? ["text/javascript", bundle]
      : ["text/html; charset=utf-8", PAGE];
    return new Response(body, { headers: { "content-type": type } });
  });
  Deno.test.afterAll(() => server.shutdown());
  const { port } = server.addr;
  return { origin: `http://127.0.0.1:${port}`, otherOrigin: `http://localhost:${port}` };
}

/** Runs a function in a page of the site. It can use nothing from around it but what is given. */
export async function inPage<Given, Result>(
  page: Page,
  run: (lotline: Lotline, given: Given) => Promise<Result>,
  given: Given,
): Promise<Result> {
  await page.waitForFunction("globalThis.lotline");
  return await page.evaluate<Result>(`(${run})(globalThis.lotline, ${JSON.stringify(given)})`);
}
