/**
 * The thread for the heavy work of jobs, which threads.ts starts.
 *
 * @module
 */

import { HEAVY_TASKS } from "./heavy_tasks.ts";
import { serveTasks } from "./serve_tasks.ts";

serveTasks(HEAVY_TASKS);
