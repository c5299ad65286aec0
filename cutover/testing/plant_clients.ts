import { Buffer } from "node:buffer";
import http from "node:http";
import { delay } from "../../timing.ts";
import { decodedBody } from "../exchange/decoded_body.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";

/** The results of a plant's clients so far. */
export interface Counts {
  readonly requests: number;
  /** Responses with a content coding. */
  readonly compressed: number;
  /** Codes of the lots that were acknowledged with 201. */
  readonly lots: readonly string[];
  /** Notes of the QC decisions that were acknowledged with 201. */
  readonly decisions: readonly string[];
  /** Unexpected and missing responses, a line each. */
  readonly failures: readonly string[];
  /** Lots whose write got neither 201 nor a refusal: they may be stored or not. */
  readonly uncertain: readonly string[];
}

/** Clients that keep sending until they are stopped. */
interface PlantClients extends AsyncDisposable {
  readonly counts: Counts;
  /** Stops sending; resolves when every request is answered. */
  stop(): Promise<Counts>;
}

interface Received {
  readonly status: number;
  readonly body: string;
}

/** The most concurrent requests: on a busy machine they send less instead of waiting longer. */
export const MAX_IN_FLIGHT = 32;
/** The number of addresses, each a separate client. */
const CLIENTS = 200;
/** Longer than any request here takes. */
const SILENCE_MS = 20_000;
const KNOWN_LOT = "MIX-BATCH-88";

/**
 * Starts a plant's traffic on some gateways, in turn: traces of old and of just stored lots,
 * health, logins, new lots, QC decisions. It is sent at a fixed rate, while at most {@link
 * MAX_IN_FLIGHT} requests wait for their response. Needs the seed rows.
 *
 * @param options.accepts the content codings that they accept; none unless set
 */
export function startPlantClients(
  urls: readonly string[],
  { perSecond, run = crypto.randomUUID().slice(0, 8), accepts }: {
    perSecond: number;
    run?: string;
    accepts?: string;
  },
): PlantClients {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  const counts = {
    requests: 0,
    compressed: 0,
    lots: [] as string[],
    decisions: [] as string[],
    failures: [] as string[],
    uncertain: [] as string[],
  };
  const inFlight = new Set<Promise<void>>();
  let isStopped = false;

  const send = (number: number, method: string, path: string, body?: unknown): Promise<Received> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const url = urls[number % urls.length] ?? "";
      const client = `10.1.${(number % CLIENTS) >> 6}.${(number % CLIENTS) & 63}`;
      const outgoing = http.request(url + path, {
        method,
        agent,
        headers: {
          "x-forwarded-for": client,
          ...accepts !== undefined && { "accept-encoding": accepts },
          ...text !== undefined && {
            "content-type": "application/json",
            "content-length": String(new TextEncoder().encode(text).length),
          },
        },
      }, (incoming) => {
        const parts: Uint8Array[] = [];
        incoming.on("data", (part: Uint8Array) => parts.push(part));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const coding = incoming.headers["content-encoding"];
          if (coding !== undefined) counts.compressed++;
          const headers = toHeaderLines(incoming.rawHeaders);
          const decoded = decodedBody({ headers, body: Buffer.concat(parts) }, 1_048_576);
          const body = decoded.kind === "plain"
            ? new TextDecoder().decode(decoded.bytes)
            : `(${decoded.kind} ${coding})`;
          resolve({ status: incoming.statusCode ?? 0, body });
        });
      });
      outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error("no response in time")));
      outgoing.on("error", reject);
      outgoing.end(text);
    });

  const expect = ({ status, body }: Received, wanted: number, holds: string) => {
    if (status === wanted && body.includes(holds)) return true;
    counts.failures.push(`${status} instead of ${wanted} with ${holds}: ${body.slice(0, 200)}`);
    return false;
  };

  const storeLot = async (number: number) => {
    const lot_code = `PLANT-${run}-${number}`;
    try {
      const response = await send(number, "POST", "/api/lots", {
        lot_code,
        lot_type: "MIX",
        weight_kg: "540.0",
        metadata: { parentLots: [KNOWN_LOT] },
      });
      if (expect(response, 201, `"lot_code":"${lot_code}"`)) counts.lots.push(lot_code);
      else if (response.status >= 500) counts.uncertain.push(lot_code);
    } catch (error) {
      counts.uncertain.push(lot_code);
      throw error;
    }
  };
  const decide = async (number: number) => {
    const notes = `PLANT-${run}-${number}`;
    const response = await send(number, "POST", "/api/qc-decisions", {
      decision: "PASS",
      notes,
      temperature_c: "3.50",
    });
    if (expect(response, 201, `"notes":"${notes}"`)) counts.decisions.push(notes);
  };
  const trace = async (number: number) => {
    // Sometimes a lot that was just stored, perhaps by the other upstream.
    const code = number % 2 === 0 ? counts.lots.at(-1 - number % 7) ?? KNOWN_LOT : KNOWN_LOT;
    expect(await send(number, "GET", `/api/traceability/${code}`), 200, `"lot_code":"${code}"`);
  };
  const kinds = [
    trace,
    trace,
    trace,
    trace,
    async (number: number) =>
      void expect(await send(number, "GET", "/api/health"), 200, '"status":"ok"'),
    async (number: number) =>
      void expect(
        await send(number, "POST", "/api/login", { email: "admin@flowviz.com" }),
        200,
        '"token":"',
      ),
    storeLot,
    storeLot,
    decide,
    async (number: number) =>
      void expect(
        await send(number, "GET", `/api/traceability/NOBODY-${number}`),
        404,
        "Lot not found",
      ),
  ];

  const going = (async () => {
    const started = performance.now();
    for (let number = 0; !isStopped; number++) {
      const due = started + number * 1_000 / perSecond;
      const early = due - performance.now();
      if (early > 1) await delay(early);
      while (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
      counts.requests++;
      const kind = kinds[number % kinds.length];
      const one: Promise<void> = (kind?.(number) ?? Promise.resolve())
        .catch((error) => void counts.failures.push(String(error)))
        .finally(() => inFlight.delete(one));
      inFlight.add(one);
    }
  })();

  const stop = async () => {
    isStopped = true;
    await going;
    await Promise.all(inFlight);
    agent.destroy();
    return counts;
  };
  return { counts, stop, [Symbol.asyncDispose]: async () => void await stop() };
}
