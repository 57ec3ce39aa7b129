/** How the events of requests come to this page. */
import { asked, followed } from '../lib/stream.ts';

export const wire = { asked, followed };
