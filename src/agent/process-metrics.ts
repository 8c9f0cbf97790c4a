import { readdirSync, readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import type prometheus from 'prom-client';

/**
 * The usual `process_…` metrics, read at each scrape. (What prom-client brings for this also watches the event loop
 * a hundred times a second, which an idle agent must not.)
 */
export function registerProcessMetrics(prom: typeof prometheus, registry: Registry): void {
  const registers = [registry];
  new prom.Counter({
    name: 'process_cpu_seconds_total',
    help: 'Total user and system CPU time spent in seconds.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  const startSeconds = processStartSeconds();
  const gauges: readonly [string, string, () => number | undefined][] = [
    ['process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', () => startSeconds],
    ['process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss()],
    ['process_virtual_memory_bytes', 'Virtual memory size in bytes.', virtualBytes],
    ['process_open_fds', 'Number of open file descriptors.', () => tryRead(() => readdirSync('/proc/self/fd').length)],
    ['process_max_fds', 'Maximum number of open file descriptors.', maxOpenFiles],
    [
      'nodejs_heap_size_used_bytes',
      'Heap in use by JavaScript objects in bytes.',
      () => process.memoryUsage().heapUsed,
    ],
  ];
  for (const [name, help, read] of gauges) {
    new prom.Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read();
        if (value !== undefined) this.set(value);
      },
    });
  }
}

/** When this process started, in seconds since the epoch. */
export function processStartSeconds(): number {
  return (performance.timeOrigin + performance.now() - process.uptime() * 1000) / 1000;
}

function virtualBytes(): number | undefined {
  const pages = tryRead(() => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]));
  return pages === undefined ? undefined : pages * 4096;
}

function maxOpenFiles(): number | undefined {
  const line = tryRead(() => /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')));
  return line === undefined || line === null ? undefined : Number(line[1]);
}

/** A host without such a file simply has no such metric. */
function tryRead<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
