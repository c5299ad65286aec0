/**
 * The software bill of materials: the npm packages of deno.lock, as CycloneDX 1.6.
 *
 * @module
 */
import * as CDX from "@cyclonedx/cyclonedx-library";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { z } from "zod";
import { closureOf, importsOfImage, type LockedPackage, parseDenoLock } from "./locked_packages.ts";

const { ComponentScope, ComponentType, HashAlgorithm } = CDX.Enums;
const CLIENT_NEEDS = z.looseObject({ dependencies: z.record(z.string(), z.string()) });

/** What the document is about. */
export interface Subject {
  readonly version: string;
  readonly commit: string;
  /** When the commit was made. */
  readonly time: Date;
}

/**
 * The document as JSON. Packages that the image or the client need are `required`; tools of
 * development and tests are `excluded`. The same tree gives the same text.
 *
 * @param root a folder with the files of the release
 * @throws {Error} when a package isn't in Deno's cache, which knows its licence
 */
export async function billOfMaterials(
  root: string,
  { version, commit, time }: Subject,
): Promise<string> {
  const lock = parseDenoLock(await Deno.readTextFile(join(root, "deno.lock")));
  const client = CLIENT_NEEDS.parse(
    JSON.parse(await Deno.readTextFile(join(root, "client/package.json"))),
  );
  const clientImports = Object.entries(client.dependencies).map((one) => one.join("@"));
  const direct = new Set([...await importsOfImage(root, lock), ...clientImports]);
  const required = closureOf(lock, direct);
  const licences = await readLicences(lock.packages);

  const lotline = new CDX.Models.Component(ComponentType.Application, "lotline", {
    bomRef: "lotline",
    version,
    description: "Lot traceability of a food plant",
  });
  lotline.licenses.add(new CDX.Models.SpdxLicense("MIT"));
  lotline.properties.add(new CDX.Models.Property("lotline:commit", commit));
  const bom = new CDX.Models.Bom({ metadata: new CDX.Models.Metadata({ timestamp: time }) });
  bom.metadata.component = lotline;
  const components = new Map(
    [...lock.packages].map(([key, one]) => [
      key,
      componentOf(key, one, required.has(key), licences.get(key)),
    ]),
  );
  for (const [key, component] of components) {
    bom.components.add(component);
    if (direct.has(key)) lotline.dependencies.add(component.bomRef);
    for (const dependency of lock.packages.get(key)?.dependencies ?? []) {
      const { bomRef } = components.get(dependency) ?? {};
      if (bomRef !== undefined) component.dependencies.add(bomRef);
    }
  }
  const form = new CDX.Serialize.JSON.Normalize.Factory(CDX.Spec.Spec1dot6);
  const text = new CDX.Serialize.JsonSerializer(form).serialize(bom, { sortLists: true, space: 2 });
  return `${text}\n`;
}

function componentOf(
  key: string,
  { name, version, integrity }: LockedPackage,
  isRequired: boolean,
  licence: CDX.Models.License | undefined,
): CDX.Models.Component {
  const [own = "", group] = name.split("/").reverse();
  const component = new CDX.Models.Component(ComponentType.Library, own, {
    bomRef: key,
    version,
    scope: isRequired ? ComponentScope.Required : ComponentScope.Excluded,
    // https://github.com/package-url/purl-spec: the @ of a scope is escaped.
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
  });
  if (group !== undefined) component.group = group;
  const [algorithm, digest = ""] = integrity.split("-");
  if (algorithm !== "sha512") throw new Error(`${key} has no SHA-512 in deno.lock`);
  component.hashes.set(HashAlgorithm["SHA-512"], Buffer.from(digest, "base64").toString("hex"));
  if (licence !== undefined) component.licenses.add(licence);
  return component;
}

const Manifest = z.looseObject({
  license: z.union([z.string(), z.looseObject({ type: z.string() })]).optional(),
  licenses: z.array(z.looseObject({ type: z.string() })).optional(),
});

/**
 * The licences that the packages' own files name. Packages for one platform have none here: which of
 * them a machine has, depends on the machine.
 */
async function readLicences(
  packages: ReadonlyMap<string, LockedPackage>,
): Promise<Map<string, CDX.Models.License>> {
  const registries = await listCachedRegistries();
  const licences = new Map<string, CDX.Models.License>();
  for (const [key, one] of packages) {
    if (one.isForPlatform) continue;
    const text = await manifestOf(registries, one);
    const { license, licenses = [] } = Manifest.parse(JSON.parse(text));
    const name = typeof license === "string" ? license : license?.type ?? licenses[0]?.type;
    if (name !== undefined) licences.set(key, licenceOf(name));
  }
  return licences;
}

function licenceOf(name: string): CDX.Models.License {
  const id = CDX.SPDX.fixupSpdxId(name);
  if (id !== undefined) return new CDX.Models.SpdxLicense(id);
  return / (?:AND|OR|WITH) /.test(name)
    ? new CDX.Models.LicenseExpression(name)
    : new CDX.Models.NamedLicense(name);
}

async function manifestOf(
  registries: readonly string[],
  { name, version }: LockedPackage,
): Promise<string> {
  for (const registry of registries) {
    const text = await Deno.readTextFile(join(registry, name, version, "package.json"))
      .catch(() => undefined);
    if (text !== undefined) return text;
  }
  throw new Error(`${name}@${version} isn't in Deno's cache: deno install`);
}

/** The folders in which Deno keeps packages, one for each registry. */
async function listCachedRegistries(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = z.looseObject({ npmCache: z.string() })
    .parse(JSON.parse(new TextDecoder().decode(stdout)));
  const entries = await Array.fromAsync(Deno.readDir(npmCache));
  return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => join(npmCache, name))
    .sort();
}
