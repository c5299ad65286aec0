import type { TestApi, TestResponse } from "./api.ts";

/** The results of a mixed load: the number of each status, and of missing responses. */
export interface LoadResult {
  readonly statuses: Map<number, number>;
  /** Requests without a response: the connection broke. */
  readonly broken: string[];
  /** Codes of the lots that were acknowledged with 201. */
  readonly stored: string[];
  /** Responses other than 2xx. */
  readonly refused: TestResponse[];
}

/** How many requests are in flight at a time. */
const CONCURRENCY = 16;

/**
 * Sends `count` requests of all five operations, some at a time, until all are done. `onProgress`
 * gets the number of completed ones after each.
 */
export async function mixedLoad(
  api: TestApi,
  count: number,
  onProgress: (completed: number) => void = () => {},
): Promise<LoadResult> {
  const result: LoadResult = { statuses: new Map(), broken: [], stored: [], refused: [] };
  let next = 0;
  let completed = 0;
  const run = crypto.randomUUID().slice(0, 8);
  const worker = async () => {
    while (next < count) {
      const i = next++;
      try {
        const { code, response } = await send(api, i, `LOAD-${run}-${i}`);
        result.statuses.set(response.status, (result.statuses.get(response.status) ?? 0) + 1);
        if (response.status >= 300) result.refused.push(response);
        else if (code !== undefined) result.stored.push(code);
      } catch (error) {
        result.broken.push(String(error));
      }
      onProgress(++completed);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return result;
}

async function send(
  api: TestApi,
  i: number,
  code: string,
): Promise<{ code?: string; response: TestResponse }> {
  switch (i % 5) {
    case 0:
      return { response: await api.get("/api/health") };
    case 1:
      return { response: await api.post("/api/login", { email: "admin@flowviz.com" }) };
    case 2:
      return { response: await api.get("/api/traceability/MIX-BATCH-88") };
    case 3:
      return { code, response: await api.post("/api/lots", { lot_code: code, weight_kg: "1.50" }) };
    default:
      return { response: await api.post("/api/qc-decisions", { decision: "PASS", notes: code }) };
  }
}
