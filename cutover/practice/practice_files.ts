import { join } from "node:path";
import { z } from "zod";
import { stateFolder } from "../../dev/state_folder.ts";
import { parseFault, type PlantedFault } from "./planted_fault.ts";

/*
 * What a running practice leaves for its commands in the state folder: its addresses, and the fault that
 * is planted.
 */

const AddressesForm = z.object({ gatewayUrl: z.string(), databaseUrl: z.string() });

/** What the commands need of a running practice. */
export type PracticeAddresses = Readonly<z.output<typeof AddressesForm>>;

const addressesFile = (folder: string) => join(folder, "practice.json");
const faultFile = (folder: string) => join(folder, "practice.break");

/** Writes the addresses, until disposal. */
export async function noteAddresses(
  folder: string,
  addresses: PracticeAddresses,
): Promise<AsyncDisposable> {
  await Deno.writeTextFile(addressesFile(folder), JSON.stringify(addresses));
  return { [Symbol.asyncDispose]: () => Deno.remove(addressesFile(folder)).catch(() => {}) };
}

/** The addresses of the practice on this folder; undefined: none runs. */
export async function readAddresses(
  folder = stateFolder(),
): Promise<PracticeAddresses | undefined> {
  try {
    return AddressesForm.parse(JSON.parse(await Deno.readTextFile(addressesFile(folder))));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Plants a fault in the practice on this folder; undefined: none from now on. */
export async function plant(text: string | undefined, folder = stateFolder()): Promise<void> {
  await Deno.writeTextFile(faultFile(folder), text ?? "");
}

/** The fault that is planted at the moment. */
export function plantedFault(folder: string): PlantedFault | undefined {
  try {
    return parseFault(Deno.readTextFileSync(faultFile(folder)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
