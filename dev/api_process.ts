/**
 * The API in its own process, started as `deno task start` starts it.
 *
 * @module
 */

import { type ServiceOptions, type ServiceProcess, startService } from "./service_process.ts";

/** Where the API listens, and its further settings. */
export interface ApiOptions extends Pick<ServiceOptions, "env" | "logFile" | "pidFile"> {
  readonly port: number;
}

/**
 * Starts the API, on loopback; resolves when its log says that it is ready.
 *
 * @throws Error with the end of its log when it ends instead
 */
export function startApi({ port, env, logFile, pidFile }: ApiOptions): Promise<ServiceProcess> {
  return startService({
    name: "API",
    task: "start",
    env: { ...env, HOST: "127.0.0.1", PORT: String(port) },
    logFile,
    pidFile,
    isReady: () => isReady(port),
  });
}

async function isReady(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(2_000);
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
