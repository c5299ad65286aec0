/**
 * A thread that does the heavy work of jobs: see threads.ts, which starts it.
 *
 * @module
 */

import { HEAVY_TASKS } from "./heavy_tasks.ts";
import { serveTasks } from "./serve_tasks.ts";

serveTasks(HEAVY_TASKS);
