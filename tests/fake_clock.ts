import { FakeTime } from "@std/testing/time";

/** FakeTime with `performance.now` along with it, which it leaves alone. */
export function fakeClock(): FakeTime {
  const time = new FakeTime(0);
  performance.now = () => time.now;
  const restore = time.restore.bind(time);
  time.restore = () => {
    restore();
    delete (performance as Partial<Performance>).now; // the prototype's shows again
  };
  return time;
}
