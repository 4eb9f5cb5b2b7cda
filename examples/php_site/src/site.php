<?php
// What every page begins with: settings, the session, and the few functions they share.

declare(strict_types=1);

require __DIR__ . '/../vendor/autoload.php';

use GatewayClient\Gateway;

// GatewayClient reports a gateway that is away by warnings. They are errors here, which `push` turns into an answer.
set_error_handler(function (int $level, string $message, string $file, int $line): bool {
    if (error_reporting() & $level) {
        throw new ErrorException($message, 0, $level, $file, $line);
    }
    return false;
});

$secret = getenv('TIDEGATE_SECRET_KEY') ?: throw new RuntimeException('TIDEGATE_SECRET_KEY is not set');
Gateway::$registerAddress = getenv('TIDEGATE_CLUSTER') ?: '127.0.0.1:1236';
Gateway::$secretKey = $secret;

header("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    . "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
header('X-Content-Type-Options: nosniff');
header('Cache-Control: no-store');

session_start([
    'name' => 'site',
    'use_strict_mode' => true,
    'cookie_httponly' => true,
    'cookie_samesite' => 'Strict', // no other site's page sends it
    'cookie_secure' => !empty($_SERVER['HTTPS']),
]);
$_SESSION['csrf'] ??= bin2hex(random_bytes(32));

/** The name of who is logged in; null for a guest. */
function user(): ?string
{
    return $_SESSION['user'] ?? null;
}

/** As whom the pages of somebody are bound: apart from whatever else the cluster may have. */
function uid(string $name): string
{
    return "user:$name";
}

/** A name as one can be given: a line of up to 24 characters. Null if it can't. */
function clean_name(mixed $name): ?string
{
    $name = is_string($name) ? preg_replace('/^\s+|\s+$/u', '', $name) : null;
    return is_string($name) && preg_match('/^[\p{L}\p{M}\p{N} ._-]{1,24}$/Du', $name) ? $name : null;
}

/** Whether the token is this session's: another site's page can't know it. */
function is_own_token(mixed $token): bool
{
    return is_string($token) && hash_equals($_SESSION['csrf'], $token);
}

/** The JSON body of a request of a page's script; whatever is not one ends here. */
function read_post(): array
{
    if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
        header('Allow: POST');
        answer(405, 'POST is expected.');
    }
    if (!is_own_token($_SERVER['HTTP_X_CSRF_TOKEN'] ?? null)) {
        answer(403, 'The page is too old: reload it.');
    }
    if (user() === null) {
        answer(401, 'Log in first.');
    }
    session_write_close(); // others of this session need not wait for a push
    $fields = json_decode(file_get_contents('php://input', length: 10_000), true, 4);
    return is_array($fields) ? $fields : answer(400, 'A JSON object is expected.');
}

/** Carry out calls of GatewayClient; where the cluster is away the answer says so, and the log why. */
function push(callable $calls): mixed
{
    try {
        return $calls();
    } catch (Throwable $error) {
        error_log("not pushed: {$error->getMessage()}");
        answer(503, 'The push service is away: try again.');
    }
}

/** Answer a script, and end. */
function answer(int $status, ?string $message = null): never
{
    http_response_code($status);
    if ($message !== null) {
        header('Content-Type: application/json');
        echo json_encode(['message' => $message], JSON_UNESCAPED_UNICODE);
    }
    exit;
}
