import type { ServiceProcess } from "./service_process.ts";

/** A service that can be started again after it ended by itself. */
export interface RestartedService extends ServiceProcess {
  restart(): Promise<void>;
}

/** Starts a service; `start` is called once more for each restart. */
export async function startRestarted(
  start: () => Promise<ServiceProcess>,
): Promise<RestartedService> {
  let service = await start();
  return {
    name: service.name,
    get pid() {
      return service.pid;
    },
    logTail: () => service.logTail(),
    async restart() {
      await service[Symbol.asyncDispose]();
      service = await start();
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
