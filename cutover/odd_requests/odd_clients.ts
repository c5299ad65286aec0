import { delay } from "../../timing.ts";
import type { WireRequest } from "./draft.ts";
import { recipeOf, requestOf } from "./generate.ts";
import { loadPlant } from "./plant.ts";
import { sendOnWire } from "./wire.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";

/** Clients that send odd requests until they are stopped. */
export interface OddClients extends AsyncDisposable {
  /** How many requests were answered, by status; 0: the connection ended without a response. */
  readonly responses: ReadonlyMap<number, number>;
  /** Stops sending; resolves when every request is answered. */
  stop(): Promise<void>;
}

/** The number of addresses, each a separate client. */
const CLIENTS = 200;
const AT_ONCE = 4;
/**
 * The pause between two requests of one sender: they are a few odd ones among many ordinary ones.
 */
const PAUSE_MS = 30;

/**
 * Starts sending the odd requests of a seed to a gateway that trusts this machine's
 * `X-Forwarded-For`. The database behind `legacyUrl` needs the seed's rows.
 */
export async function startOddClients(
  { url, legacyUrl, seed }: {
    readonly url: string;
    readonly legacyUrl: string;
    readonly seed: number;
  },
): Promise<OddClients> {
  const plant = await loadPlant(legacyUrl);
  const port = Number(new URL(url).port);
  const responses = new Map<number, number>();
  let isStopped = false;
  let next = 0;
  const send = async () => {
    while (!isStopped) {
      const number = next++;
      const operation = LEGACY_OPERATIONS[number % LEGACY_OPERATIONS.length] ?? "getHealth";
      const request = requestOf(recipeOf(seed, operation, number), plant);
      const response = await sendOnWire(port, fromClient(request, number));
      const status = response?.status ?? 0;
      responses.set(status, (responses.get(status) ?? 0) + 1);
      await delay(PAUSE_MS);
    }
  };
  const sending = Promise.all(Array.from({ length: AT_ONCE }, send));
  const stop = async () => {
    isStopped = true;
    await sending;
  };
  return { responses, stop, [Symbol.asyncDispose]: stop };
}

/** The same request from one of the clients. */
function fromClient(request: WireRequest, number: number): WireRequest {
  const client = number % CLIENTS;
  const [first = "", ...rest] = request.lines;
  const lines = [first, `X-Forwarded-For: 10.2.${client >> 6}.${client & 63}`, ...rest];
  return { ...request, lines };
}
