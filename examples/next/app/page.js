// Rendered anew for each request, so that it shows who answers.
export const dynamic = 'force-dynamic';

export default function Page() {
  return <p>Rendered by process {process.pid}</p>;
}
