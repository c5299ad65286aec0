import { Buffer } from "node:buffer";
import { once } from "node:events";
import http from "node:http";
import { isObject, parseJson } from "../../json.ts";
import { delay } from "../../timing.ts";
import { findOperation } from "../exchange/match_operation.ts";
import { LEGACY_OPERATIONS, type LegacyOperation } from "../exchange/operations.ts";

/** `crash`: the connection ends without a response, as when a process dies. */
const KINDS = ["difference", "slow", "crash"] as const;

/** Slower than any limit of a verdict, and in time for a dry run, which has 300 ms. */
const SLOW_MS = 200;

/** What is planted in Lotline's responses to one operation. */
export interface PlantedFault {
  readonly operation: LegacyOperation;
  readonly kind: typeof KINDS[number];
}

/** The form of a fault at a command line. */
export const FAULT_USAGE = `OPERATION[=${KINDS.join("|")}]`;

/** Reads `createLot=slow`; without a kind it is a difference. Undefined: it has another form. */
export function parseFault(text: string): PlantedFault | undefined {
  const [name, kindName = "difference", ...rest] = text.trim().split("=");
  const operation = LEGACY_OPERATIONS.find((one) => one === name);
  const kind = KINDS.find((one) => one === kindName);
  return operation === undefined || kind === undefined || rest.length > 0
    ? undefined
    : { operation, kind };
}

/** A server before another one. */
interface FaultyServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts a server that passes requests on to Lotline. It spoils the responses to the operation that
 * `fault` names at that moment.
 */
export async function startFaultyServer(
  target: string,
  fault: () => PlantedFault | undefined,
): Promise<FaultyServer> {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer(async (incoming, outgoing) => {
    const { method = "", url = "", rawHeaders } = incoming;
    const planted = fault();
    const isMeant = findOperation(method, url) === planted?.operation;
    const kind = isMeant ? planted?.kind : undefined;
    outgoing.sendDate = false;
    if (kind === "crash") {
      incoming.destroy();
      return;
    }
    if (kind === "slow") await delay(SLOW_MS);
    const headers = rawHeaders.slice();
    const forwarded = http.request(target + url, { method, agent, headers });
    forwarded.on("error", () => outgoing.destroy());
    forwarded.on("response", (response) => {
      const status = response.statusCode ?? 502;
      if (kind !== "difference") {
        outgoing.writeHead(status, response.rawHeaders);
        response.on("error", () => outgoing.destroy());
        response.pipe(outgoing);
        return;
      }
      const parts: Uint8Array[] = [];
      response.on("data", (part: Uint8Array) => parts.push(part));
      response.on("error", () => outgoing.destroy());
      response.on("end", () => {
        const { "content-length": _length, "transfer-encoding": _coding, ...kept } =
          response.headers;
        outgoing.writeHead(status, kept);
        outgoing.end(different(Buffer.concat(parts).toString("utf8")));
      });
    });
    incoming.pipe(forwarded);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}

/** The body with one more field; one that is no JSON object with one more space. */
function different(body: string): string {
  const value = parseJson(body);
  return isObject(value) ? JSON.stringify({ ...value, planted: "a difference" }) : `${body} `;
}
