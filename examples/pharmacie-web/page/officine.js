/** The billing page: a queue, a desk, one reading at a time. The server decides what a token is worth. */

import { VitaleReader } from "./vitale-reader.js";
import { avisDe } from "./messages.js";

const SCOPES = ["identity", "nir", "dependants"];
const SUPPORTS = {
  "": ["vitale-card", "apcv-nfc", "apcv-qr", "ins-datamatrix"],
  carte: ["vitale-card"],
  telephone: ["apcv-nfc"],
  code: ["apcv-qr", "ins-datamatrix"],
};
const ETATS = { attend: "attend", lu: "lu", facture: "facturé" };

const $ = (id) => document.getElementById(id);
const element = (tag, text = "", properties = {}) => Object.assign(document.createElement(tag), { textContent: text, ...properties });
const euros = (centimes) => (centimes / 100).toLocaleString("fr-FR", { style: "currency", currency: "EUR" });

let etat = { port: 0, simule: false, poste: null, file: [] };
let ouvert = null; // the number of the ticket that is shown
let desk = null;
let session = null;
let opening = null;
let reading = null; // an AbortController while a reading waits

// ── the server ──

async function demander(nom, corps = {}) {
  const envoi = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(corps) };
  const reponse = await fetch(`/api/${nom}`, envoi).catch(() => {
    throw { titre: "Le serveur de facturation ne répond pas", remede: "Vérifiez la connexion, puis recommencez." };
  });
  const valeur = await reponse.json();
  if (!reponse.ok) throw { ...valeur, jugee: true };
  if (valeur.file !== undefined) etat = valeur;
  return valeur;
}

// ── the desk ──

function dire(statut, texte) {
  $("poste").dataset.etat = statut;
  $("poste-texte").textContent = texte;
}

async function ouvrir(patience = 2_000) {
  opening ??= (async () => {
    dire("cherche", "Recherche du poste…");
    try {
      session = await desk.connect({ patience });
    } catch (error) {
      dire("panne", "Poste injoignable");
      throw error;
    } finally {
      opening = null;
    }
    const mine = session;
    mine.ended.then((why) => mine === session && finie(why));
    await demander("poste", { client_id: session.clientId, nom: session.station.name, jwks: session.jwks });
    dire("ouvert", `Poste ouvert · ${etat.poste.nom}`);
    if ($("avis").dataset.etat === "unreachable") $("avis").hidden = true;
    if (etat.poste.confirme) await recuperer();
    montrer();
  })();
  await opening;
}

/** The desk was restarted, or somebody ended the pairing there. */
async function finie(why) {
  session = null;
  if (why.state === "unreachable") {
    await tenter(() => ouvrir(120_000));
  } else {
    dire("panne", "Poste fermé");
    signaler(why);
  }
}

function fermer() {
  const mine = session;
  session = null;
  mine?.close();
}

/** Tokens that were read before the page was loaded again. */
async function recuperer() {
  for (const { jti, token } of await session.recover()) {
    try {
      ouvert = (await demander("jeton", { jeton: token })).numero;
    } catch (refus) {
      // Refused for good; where the server did not answer, it is asked again after the next reload.
      if (!refus.jugee) throw refus;
    }
    await session.acknowledge([jti]);
  }
}

async function appairer() {
  $("appairer").disabled = true;
  $("avis").hidden = true;
  try {
    await demander("poste/oublie");
    await desk.pair({ name: "Pharmacie des Essais", scopes: SCOPES, onCode: montrerCode });
    appairee = true;
    await ouvrir();
    $("confirmation-titre").focus();
  } finally {
    $("appairer").disabled = false;
    montrerCode("");
  }
}

function montrerCode(code) {
  const chiffres = code === "" ? [..."––––––"] : [...code];
  $("code").replaceChildren(...chiffres.map((chiffre) => element("span", chiffre)));
  $("code").toggleAttribute("data-montre", code !== "");
}

// ── a reading ──

async function lire() {
  const numero = ouvert;
  reading = new AbortController();
  $("avis").hidden = true;
  $("avancement").replaceChildren();
  montrer();
  $("annuler").focus();
  try {
    if (session === null) await ouvrir();
    const { nonce } = await demander("nonce", { numero });
    const wish = { nonce, media: SUPPORTS[support()], scopes: session.scopes.filter((scope) => SCOPES.includes(scope)), purpose: ["fse"] };
    const { token, claims } = await session.read(wish, { signal: reading.signal, onProgress: avancer });
    await demander("jeton", { jeton: token });
    await session.acknowledge([claims.jti]);
  } finally {
    const abandon = reading.signal.aborted;
    reading = null;
    montrer();
    if (abandon) $("lire").focus();
  }
  (document.querySelector("#patients input:checked") ?? $("dossier-titre")).focus();
}

const support = () => document.querySelector("input[name=support]:checked").value;

function avancer({ message, remedy }) {
  const dernier = $("avancement").lastElementChild;
  if (dernier?.firstChild?.textContent === message) return;
  const ligne = element("li");
  ligne.append(element("span", message));
  if (remedy) ligne.append(element("small", remedy));
  $("avancement").append(ligne);
  $("avancement").hidden = false;
}

// ── what is shown ──

function signaler(error) {
  const avis = avisDe(error);
  $("avis").hidden = avis === null;
  if (avis === null) return;
  $("avis").dataset.ton = avis.ton ?? "";
  $("avis").dataset.etat = error.state ?? "";
  $("avis-titre").textContent = avis.titre;
  $("avis-cause").textContent = avis.cause ?? "";
  $("avis-remedes").replaceChildren(...avis.remedes.map((remede) => element("li", remede)));
  const gestes = { appairer: "Appairer de nouveau", reessayer: "Réessayer", rouvrir: "Recharger la page" };
  $("avis-geste").hidden = avis.geste === undefined;
  $("avis-geste").textContent = gestes[avis.geste] ?? "";
  $("avis-geste").onclick = () => {
    $("avis").hidden = true;
    if (avis.geste === "rouvrir") location.reload();
    else if (avis.geste === "appairer") tenter(async () => (await desk.forget(), fermer(), await demander("poste/oublie"), await paraitre()));
    else if (vue() === "appairage") tenter(appairer);
    else if (session === null) tenter(() => ouvrir());
    else tenter(lire);
  };
  ($("avis-geste").hidden ? $("avis-fermer") : $("avis-geste")).focus();
}

let appairee = false;

function vue() {
  if (!appairee) return "appairage";
  return session !== null && etat.poste?.confirme === false ? "confirmation" : "dossier";
}

async function paraitre() {
  appairee = await desk.isPaired();
  montrer();
}

function montrer() {
  const place = vue();
  for (const nom of ["appairage", "confirmation", "dossier"]) $(nom).hidden = nom !== place;
  if (place === "appairage") dire("ferme", "Page non appairée");
  $("empreintes").replaceChildren(
    ...(etat.poste?.empreintes ?? []).map((kid) => {
      const ligne = element("li");
      ligne.append(element("code", kid));
      return ligne;
    }),
  );
  $("file").replaceChildren(...etat.file.map(ligneDeFile));
  const ticket = etat.file.find((each) => each.numero === ouvert);
  if (ticket !== undefined) montrerDossier(ticket);
}

function ligneDeFile(ticket) {
  const bouton = element("button", "", { type: "button" });
  bouton.dataset.etat = ticket.etat;
  const patient = ticket.lecture?.patients[ticket.choisi ?? 0];
  bouton.append(
    element("b", String(ticket.numero)),
    element("span", patient === undefined ? ticket.objet : `${patient.nom} ${patient.prenom}`),
    element("small", patient === undefined ? euros(ticket.centimes) : `${ticket.objet} · ${euros(ticket.centimes)}`),
    element("em", ETATS[ticket.etat]),
  );
  if (ticket.numero === ouvert) bouton.setAttribute("aria-current", "true");
  bouton.disabled = reading !== null;
  bouton.onclick = () => {
    ouvert = ticket.numero;
    $("avis").hidden = true;
    montrer();
    $("dossier-titre").focus();
  };
  const ligne = element("li");
  ligne.append(bouton);
  return ligne;
}

function montrerDossier(ticket) {
  $("dossier-numero").textContent = `Numéro ${ticket.numero}`;
  $("dossier-titre").textContent = ticket.objet;
  $("dossier-montant").textContent = euros(ticket.centimes);
  const lit = reading !== null;
  $("presenter").hidden = ticket.etat !== "attend" && !lit;
  $("lire").hidden = lit;
  $("annuler").hidden = !lit;
  $("avancement").hidden = !lit || $("avancement").childElementCount === 0;
  $("supports").hidden = lit;
  $("scene").hidden = !lit;
  for (const dessin of $("scene").children) dessin.toggleAttribute("hidden", support() !== "" && support() !== dessin.dataset.support);
  $("lecture").hidden = ticket.etat !== "lu" || lit;
  $("facture").hidden = ticket.etat !== "facture" || lit;
  if (ticket.etat === "lu") montrerLecture(ticket.lecture);
  if (ticket.etat === "facture") {
    const { nom, prenom } = ticket.lecture.patients[ticket.choisi];
    $("facture-nom").textContent = `${euros(ticket.centimes)} facturés pour ${prenom} ${nom}`;
  }
}

function montrerLecture({ support, authentifiee, origine, patients, avertissements }) {
  $("verdict").replaceChildren(
    element("span", support),
    element("span", "Jeton vérifié par le serveur", { className: "bon" }),
    element("span", authentifiee ? "Données authentifiées" : "Données lues, non authentifiées", { className: authentifiee ? "bon" : "reserve" }),
    ...(origine === "production" ? [] : [element("span", "Simulation", { className: "reserve" })]),
  );
  $("patients").replaceChildren(
    ...patients.map((patient, place) => {
      const choix = element("label");
      const fiche = element("span");
      fiche.append(
        element("strong", `${patient.nom} ${patient.prenom}`),
        element("small", [patient.porteur ? "Porteur" : "", patient.qualite].filter(Boolean).join(" · ") || "Bénéficiaire"),
        element("small", naissance(patient)),
      );
      if (patient.nir !== "") fiche.append(element("small", enGroupes(patient.nir)));
      choix.append(element("input", "", { type: "radio", name: "patient", value: String(place), checked: place === 0, required: true }), fiche);
      return choix;
    }),
  );
  $("avertissements").replaceChildren(...avertissements.map((raison) => element("li", `À vérifier : ${raison}`)));
  $("facturer").disabled = patients.length === 0;
}

function naissance({ naissance: date, age }) {
  const jour = /^\d{4}-\d\d-\d\d$/.test(date) ? date.split("-").reverse().join("/") : date;
  return age === null ? `Date de naissance : ${jour}` : `${jour} · ${age} ans`;
}

/** A NIR as it is printed: 2 81 06 75 990 442 41. */
const enGroupes = (nir) => nir.replace(/^(.)(..)(..)(..)(...)(...)(..)?$/, (_, ...parts) => parts.slice(0, 7).filter(Boolean).join(" "));

/** Runs what a gesture began, and shows how it failed. */
async function tenter(geste) {
  try {
    await geste();
  } catch (error) {
    signaler(error);
  }
}

// ── gestures ──

const surClic = (id, geste) => $(id).addEventListener("click", () => tenter(geste));

surClic("appairer", appairer);
surClic("identique", async () => (await demander("poste/confirme"), await recuperer(), montrer(), $("dossier-titre").focus()));
surClic("differente", async () => {
  await desk.forget();
  fermer();
  await demander("poste/oublie");
  await paraitre();
  throw { titre: "Ce n’est pas le poste que le serveur connaît", remede: "L’appairage est oublié ici ; révoquez-le aussi au poste : vitale-reader web revoke." };
});
surClic("lire", lire);
surClic("annuler", async () => reading?.abort());
surClic("relire", lire);
surClic("nouveau", async () => {
  await demander("ticket");
  ouvert = etat.file.at(-1).numero;
  montrer();
});
surClic("suivant", async () => {
  ouvert = (etat.file.find((each) => each.etat === "attend") ?? etat.file[0]).numero;
  montrer();
  $("lire").focus();
});
$("avis-fermer").onclick = () => ($("avis").hidden = true);
$("lecture").addEventListener("submit", (event) => {
  event.preventDefault();
  const patient = Number(new FormData($("lecture")).get("patient"));
  tenter(async () => {
    await demander("facture", { numero: ouvert, patient });
    montrer();
    $("suivant").focus();
  });
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") reading?.abort();
});

// ── start ──

etat = await (await fetch("/api/etat")).json();
ouvert = (etat.file.find((each) => each.etat !== "facture") ?? etat.file[0]).numero;
desk = new VitaleReader({ port: etat.port, name: "Pharmacie des Essais", version: "1", language: "fr" });
$("adresse").textContent = location.origin;
$("simule").hidden = !etat.simule;
await tenter(async () => {
  await paraitre();
  // A page that was paired has been allowed by a person already: it needs no other gesture.
  if (appairee) await ouvrir();
});
document.documentElement.dataset.prete = "";
