# The PHP pages, with GatewayWorker's own push client.
FROM composer:2 AS packages
WORKDIR /app
COPY examples/php_site/composer.json .
RUN composer install --no-dev --no-interaction --no-progress --optimize-autoloader

FROM php:8.3-apache
RUN mv "$PHP_INI_DIR/php.ini-production" "$PHP_INI_DIR/php.ini"
COPY --from=packages /app/vendor /var/www/vendor
COPY examples/php_site/src /var/www/src
COPY examples/php_site/public /var/www/html
COPY js/browser/tidegate-client.js /var/www/html/
EXPOSE 80
