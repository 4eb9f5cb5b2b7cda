<?php
// The page: who somebody is, and what they say and hear. Its script is page.js.

declare(strict_types=1);

require __DIR__ . '/../src/site.php';

use GatewayClient\Gateway;

/** Close the connections of somebody who has left; pages of another browser, where they are still here, come back. */
function close_pages(string $name): void
{
    try {
        foreach (Gateway::getClientIdByUid(uid($name)) as $client_id) {
            Gateway::closeClient($client_id);
        }
    } catch (Throwable $error) {
        error_log("pages of $name stay open: {$error->getMessage()}");
    }
}

$problem = '';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (!is_own_token($_POST['csrf'] ?? null)) {
        http_response_code(403);
        $problem = 'The page was too old: try again.';
    } elseif (isset($_POST['leave'])) {
        $gone = user();
        session_regenerate_id(true);
        $_SESSION = [];
        if ($gone !== null) {
            close_pages($gone);
        }
        header('Location: .', true, 303);
        exit;
    } elseif (($name = clean_name($_POST['name'] ?? null)) === null) {
        http_response_code(422);
        $problem = 'A name has 1 to 24 letters, digits, spaces, dots or dashes.';
    } else {
        session_regenerate_id(true); // whoever knew the guest's session does not know the user's
        $_SESSION = ['user' => $name, 'csrf' => bin2hex(random_bytes(32))];
        header('Location: .', true, 303);
        exit;
    }
}
$user = user();
$port = (int) (getenv('WEBSOCKET_PORT') ?: 7272);
$e = fn(string $text): string => htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<title>Pushed by PHP</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<?php if ($user !== null) : ?>
<script src="tidegate-client.js" defer></script>
<script src="page.js" type="module"></script>
<?php endif ?>
</head>
<body data-port="<?= $port ?>" data-csrf="<?= $e($_SESSION['csrf']) ?>" data-user="<?= $e($user ?? '') ?>">
<header>
  <h1>Pushed by PHP</h1>
<?php if ($user !== null) : ?>
  <p id="state" role="status" data-state="connecting">Connecting</p>
  <form method="post">
    <input type="hidden" name="csrf" value="<?= $e($_SESSION['csrf']) ?>">
    <button class="plain" name="leave" value="1">Leave, <?= $e($user) ?></button>
  </form>
<?php endif ?>
</header>
<main>
<?php if ($user === null) : ?>
  <form class="card" method="post" autocomplete="off">
    <input type="hidden" name="csrf" value="<?= $e($_SESSION['csrf']) ?>">
    <label for="name">Your name</label>
    <input id="name" name="name" maxlength="24" required autofocus spellcheck="false">
    <button>Come in</button>
    <p class="problem" role="alert"><?= $e($problem) ?></p>
    <p class="soft">A name is enough here: who takes yours gets what is meant for you. Your site has its own login.</p>
  </form>
<?php else : ?>
  <form id="composer" autocomplete="off">
    <label for="to">To</label>
    <input id="to" maxlength="24" placeholder="everybody" spellcheck="false">
    <label for="text">Message</label>
    <input id="text" maxlength="1000" required enterkeyhint="send" autofocus>
    <button>Send</button>
    <p id="problem" class="problem" role="alert"><?= $e($problem) ?></p>
  </form>
  <ol id="log" role="log" aria-label="Messages"></ol>
<?php endif ?>
</main>
</body>
</html>
