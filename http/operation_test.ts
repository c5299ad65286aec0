import { createRoute, z } from "@hono/zod-openapi";
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { NO_EFFECTS } from "../testing/no_effects.ts";
import { App, operation, RequestState } from "./operation.ts";

function definitionOf(operationId: string) {
  const responses = {
    200: { description: "Fine.", content: { "text/plain": { schema: z.string() } } },
  };
  return createRoute({ operationId, method: "get", path: "/a/{b}", responses });
}

Deno.test("an operation without access rules can't be registered", () => {
  for (const operationId of ["getEverything", "", "constructor"]) {
    const app = new App();
    throws(() => operation(app, definitionOf(operationId), (c) => c.text("")), /auth\/access\.ts/);
    strictEqual(app.paths.find("/a/1"), undefined);
  }
});

Deno.test("an operation's path is found by its name, and its document says who may use it", () => {
  const app = new App();
  operation(app, definitionOf("createLot"), (c) => c.text(""));
  deepStrictEqual([...app.paths.find("/A/1/")?.methods ?? []], [["GET", "createLot"]]);
  const { paths } = app.router.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "", version: "" },
  });
  const { security, "x-roles": roles } = paths?.["/a/{b}"]?.get ?? {};
  deepStrictEqual({ security, roles }, {
    security: [{}, { bearerAuth: [] }],
    roles: ["ADMIN", "MANAGER", "OPERATOR"],
  });
});

Deno.test("a path is matched once: Hono finds its handler by the template, however the client spelled it", async () => {
  const app = new App();
  operation(app, definitionOf("createLot"), (c) => c.text(c.env.path.parameters.b ?? ""));
  const requested: string[] = [];
  const { router } = app.router;
  const match = router.match.bind(router);
  router.match = (method, path) => {
    requested.push(path);
    return match(method, path);
  };
  const path = app.paths.find("/A/x%2Fy/");
  ok(path);
  const request = new Request("http://localhost/A/x%2Fy/");
  const response = await app.router.fetch(
    request,
    new RequestState("GET", path, "127.0.0.1", NO_EFFECTS, "id"),
  );
  deepStrictEqual([response.status, await response.text(), requested], [200, "x%2Fy", ["/a/:b"]]);
});
