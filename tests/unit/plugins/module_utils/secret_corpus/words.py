# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that people put into passwords, typed for these tests; the held-out classes share none with the tuned ones."""

from __future__ import annotations

ENGLISH = (
    "river mountain coffee yellow window garden silver thunder castle forest purple orange bridge summer winter "
    "kitchen bottle camera planet rocket guitar football baseball mother brother sunshine shadow master killer "
    "freedom princess diamond flower chicken cookie banana pepper butter computer internet network server database "
    "backend service account customer payment invoice company business manager office london paris berlin america "
    "australia canada mexico jessica michael jennifer daniel charlie thomas robert william matthew andrew joshua "
    "correct horse battery staple random strong unique private token access client session cookie cluster worker "
    "deploy release pipeline monitor gateway storage backup archive mobile desktop website hosting domain"
).split()
GERMAN = (
    "geheimnis sonnenschein schmetterling wochenende fernseher donnerstag freitag kartoffel apfelkuchen hamburg "
    "muenchen frankfurt fussball weihnachten geburtstag strasse bahnhof flughafen krankenhaus schule lehrer arbeit "
    "kollege rechnung kunde vertrag sicherheit datenbank rechner tastatur bildschirm drucker wolke himmel regen "
    "schnee winter sommer herbst blume baum wald wiese berg fluss meer strand urlaub freund liebe hund katze vogel"
).split()
FRENCH = (
    "bonjour soleil chocolat fromage voiture maison fenetre jardin montagne riviere plage vacances amour famille "
    "enfant ecole professeur travail bureau entreprise facture client contrat securite ordinateur clavier ecran "
    "imprimante nuage pluie neige hiver printemps automne fleur arbre foret oiseau chien chat cheval vache papillon "
    "marseille toulouse bordeaux strasbourg motdepasse serveur reseau"
).split()
SPANISH = (
    "contrasena estrella mariposa corazon amigo familia escuela trabajo oficina empresa factura cliente contrato "
    "seguridad ordenador teclado pantalla impresora nube lluvia nieve invierno primavera verano flor arbol bosque "
    "pajaro perro gato caballo playa montana ciudad barcelona sevilla valencia zaragoza madrid servidor cerveza "
    "naranja manzana tortuga guitarra futbol"
).split()
ITALIAN = (
    "segreto stella farfalla cuore amico famiglia scuola lavoro ufficio azienda fattura cliente contratto sicurezza "
    "tastiera schermo stampante nuvola pioggia inverno primavera estate autunno fiore albero foresta uccello cane "
    "gatto cavallo spiaggia montagna citta venezia napoli firenze bologna torino palermo gelato formaggio pomodoro "
    "pallone chitarra bicicletta"
).split()
RARE = (
    "obfuscate perspicacious zymurgy quixotic sesquipedalian xylophone juxtapose kaleidoscope mnemonic bioluminescent "
    "thaumaturgy vivisection onomatopoeia phlegmatic rhododendron chrysanthemum fuchsia hieroglyph labyrinthine "
    "ephemeral defenestrate callipygian borborygmus absquatulate flibbertigibbet gobbledygook hullabaloo "
    "lackadaisical nincompoop rigmarole skedaddle taradiddle whippersnapper widdershins collywobbles"
).split()
MARKERS = (
    "change-me changeme replace-me your-secret-key your_api_key insert-your-key-here placeholder example-key "
    "default-password my-secret-key supersecret secret-key password passphrase letmein administrator "
    "insecure development production-key test-secret dummy-secret"
).split()
LANGUAGES = {"German": GERMAN, "French": FRENCH, "Spanish": SPANISH, "Italian": ITALIAN}

HELD_ENGLISH = (
    "heron pebble lantern velvet marble cactus walnut harbor meadow falcon copper ticket saddle blanket candle "
    "pillow ladder basket helmet parrot turtle dolphin monkey zebra pirate wizard knight dragonfly teacher doctor "
    "lawyer farmer driver painter singer writer engineer weather holiday birthday morning evening midnight breakfast "
    "dinner sandwich potato tomato carrot onion garlic cheese bread sugar salmon island valley desert jungle ocean "
    "lighthouse railway station airport hospital library museum theater stadium market factory warehouse billing "
    "shipping inventory order catalog search report alert queue broker scheduler loader parser handler factory bean"
).split()
HELD_MIXED = (
    "schildkroete regenbogen zahnarzt brieftasche lampenschirm haustuer grenouille bouteille escargot chaussure "
    "parapluie horloge zapato ventana cocina espejo relampago calabaza zucchero finestra orologio cucchiaio lampada "
    "coniglio tramonto"
).split()
NAMES = (
    "olivia emma sophia isabella charlotte amelia benjamin lucas henry alexander sebastian jackson mateo theodore "
    "hannah leonie felix maximilian camille antoine lucia alejandro giulia lorenzo"
).split()
