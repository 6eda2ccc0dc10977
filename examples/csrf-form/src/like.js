document.querySelector("#like").onclick = async () => {
    const token = document.querySelector("meta[name=csrf-token]").content;
    const reply = await fetch("/likes", { method: "POST", headers: { "x-csrf-token": token } });
    document.querySelector("output").textContent = await reply.text();
};
