/** States of the library, in the words of a counter: title, remedies, and the gesture that helps. */

/** @typedef {{ titre: string, cause?: string, remedes: string[], geste?: "appairer" | "reessayer" | "rouvrir", ton?: "attente" }} Avis */

/** @type {Record<string, Avis>} */
const ETATS = {
  unreachable: {
    titre: "Le poste ne répond pas",
    remedes: [
      "Vérifiez que le service est démarré : vitale-reader doctor le dit.",
      "Si l’appairage a été demandé : ouvrez d’abord la fenêtre au poste.",
      "Un autre programme tient peut-être son port : vitale-reader doctor le nomme.",
      "Un bloqueur de publicités peut interdire les adresses locales : autorisez-les pour ce site.",
    ],
    geste: "reessayer",
  },
  permission_prompt: {
    titre: "Le navigateur demande une autorisation",
    remedes: ["Autorisez ce site à joindre les programmes de cet ordinateur, puis recommencez."],
    geste: "reessayer",
    ton: "attente",
  },
  permission_denied: {
    titre: "Le navigateur interdit à ce site de joindre cet ordinateur",
    remedes: ["Dans les réglages du site (à gauche de l’adresse), autorisez l’accès aux applications de cet appareil."],
    geste: "reessayer",
  },
  blocked_by_csp: {
    titre: "La page n’a pas le droit de joindre le poste",
    remedes: ["Prévenez l’éditeur : la règle connect-src de la page ne nomme pas le poste."],
  },
  embedded: {
    titre: "La page est affichée dans une autre",
    remedes: ["Ouvrez-la dans un onglet à elle : dans un cadre, elle ne peut pas garder sa clé."],
  },
  wrong_daemon: {
    titre: "Un autre programme répond à la place du poste",
    cause: "Rien ne lui a été confié.",
    remedes: ["Ne recommencez pas. Faites vérifier le poste : vitale-reader doctor nomme le programme qui tient le port."],
  },
  not_paired: { titre: "Ce navigateur n’est pas appairé", remedes: ["Appairez la page avec le poste."], geste: "appairer" },
  revoked: {
    titre: "L’appairage a été révoqué au poste",
    remedes: ["Si ce n’est pas une erreur, appairez la page de nouveau."],
    geste: "appairer",
  },
  refused: {
    titre: "Le poste refuse cette page",
    remedes: ["L’appairage a pris fin, ou la fenêtre s’est fermée : appairez la page de nouveau."],
    geste: "appairer",
  },
};

/**
 * What to show of a failure. The desk's own words come first: they are in French, with their remedy.
 *
 * @param {any} error
 * @returns {Avis | null} null if there is nothing to show: the person gave up
 */
export function avisDe(error) {
  if (error?.name === "AbortError") return null;
  const data = error?.data ?? {};
  if (data.reason === "cancelled") return null;
  if (data.remedy !== undefined && error.state === "error") {
    return { titre: error.message, cause: data.cause, remedes: [data.remedy], geste: "reessayer", ton: "attente" };
  }
  if (error?.titre !== undefined) return { titre: error.titre, remedes: [error.remede] };
  return ETATS[error?.state] ?? { titre: "Erreur inattendue de la page", remedes: ["Rechargez la page."], geste: "rouvrir" };
}
