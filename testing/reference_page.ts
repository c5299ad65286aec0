import { strictEqual } from "node:assert/strict";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";

/** The page at `/docs` in a browser, as a person uses it. */
export interface ReferencePage extends AsyncDisposable {
  readonly page: Page;
  /** All addresses that the page has requested. */
  readonly requested: readonly string[];
  /** What the browser complained about: refused loads, and exceptions of the page's programs. */
  readonly complaints: readonly string[];
  /** An operation, open. */
  open(operationId: string): Promise<Locator>;
  /** Sends what an operation's form has, and returns the response's status. */
  send(operation: Locator): Promise<string>;
  /** Opens everything, also what appears in what was opened. */
  openAll(): Promise<void>;
}

/** Opens the page of a service in a context of its own. */
export async function openReference(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<ReferencePage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const requested: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requested.push(request.url()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // Chromium also reports each response of 400 and more, which a test may want.
    const isResponse = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isResponse) complaints.push(message.text());
  });
  await page.goto(`${url}/docs`);
  await page.locator(".operation").first().waitFor();
  return {
    page,
    requested,
    complaints,
    open: async (operationId) => {
      const operation = page.locator(`#${operationId}`);
      if (await operation.getAttribute("open") === null) {
        await operation.locator("summary").first().click();
      }
      await operation.getByRole("button", { name: "Send" }).waitFor();
      return operation;
    },
    send: async (operation) => {
      const response = page.waitForResponse((response) => response.url().startsWith(url));
      await operation.getByRole("button", { name: "Send" }).click();
      const status = String((await response).status());
      const line = operation.locator("form + [role=status]");
      await line.getByText(` ms`).waitFor();
      strictEqual((await line.textContent())?.slice(0, 3), status);
      return status;
    },
    openAll: async () => {
      const closed = page.locator("details:not([open])");
      while (await closed.count() > 0) {
        await closed.evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
        // The event `toggle`, which fills them, comes later.
        await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
      }
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}
