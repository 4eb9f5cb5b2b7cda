<?php
// Somebody says something, to all or to one: the site checks it, and pushes it to the pages that it is for.

declare(strict_types=1);

require __DIR__ . '/../src/site.php';

use GatewayClient\Gateway;

$fields = read_post();
$text = $fields['text'] ?? null;
if (!is_string($text) || !preg_match('/^(?=.*\S).{1,1000}$/Dsu', $text)) {
    answer(422, 'A message has 1 to 1000 characters.');
}
$to = $fields['to'] ?? '';
$to = $to === '' ? null : clean_name($to) ?? answer(422, 'That is nobody\'s name.');
$user = user();
$message = json_encode(
    ['type' => 'say', 'from' => $user, 'to' => $to, 'text' => $text, 'time' => gmdate('c')],
    JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE
);
$is_there = push(function () use ($user, $to, $message) {
    if ($to === null) {
        Gateway::sendToGroup('members', $message);
    } elseif (!Gateway::isUidOnline(uid($to))) {
        return false;
    } else {
        Gateway::sendToUid(array_values(array_unique([uid($to), uid($user)])), $message);
    }
    return true;
});
answer($is_there ? 204 : 404, $is_there ? null : "$to is not here.");
