<?php
// A page has connected, and tells its client id: from now on it is one of this user's.

declare(strict_types=1);

require __DIR__ . '/../src/site.php';

use GatewayClient\Gateway;

$fields = read_post();
$client_id = $fields['client_id'] ?? null;
$ticket = $fields['ticket'] ?? null;

// GatewayClient connects to the address that is in a client id, and shows the cluster's secret there. So none is used
// that did not come from the cluster itself, together with a ticket that only the page with this connection was sent.
if (
    !is_string($client_id) || !is_string($ticket) || !preg_match('/^[0-9a-f]{20}$/D', $client_id)
    || !hash_equals(hash_hmac('sha256', "ticket $client_id", $secret), $ticket)
) {
    answer(400, 'That is no client id of this site.');
}
$user = user();
$is_there = push(function () use ($client_id, $user) {
    Gateway::bindUid($client_id, uid($user));
    Gateway::joinGroup($client_id, 'members');
    return Gateway::isOnline($client_id); // answered when both have been carried out: the next push finds the page
});
answer($is_there ? 204 : 409, $is_there ? null : 'That connection has ended.');
